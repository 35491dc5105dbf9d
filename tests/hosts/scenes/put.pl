#!/usr/bin/perl
# A binary cache over HTTP that takes uploads: GET, HEAD and PUT of files in /srv/cache.
use strict;
use warnings;
use IO::Socket::INET;

$SIG{CHLD} = 'IGNORE';
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 8081, Listen => 16, ReuseAddr => 1)
    or die "cannot listen: $!";
while (my $client = $server->accept) {
    next if fork;
    answer($client);
    exit;
}

sub answer {
    my ($client) = @_;
    my ($method, $path) = split / /, <$client>;
    my ($length, $expect) = (0, 0);
    while (my $header = <$client>) {
        last if $header =~ /^\r?\n$/;
        $length = $1 if $header =~ /^content-length: *(\d+)/i;
        $expect = 1 if $header =~ /^expect:/i;
    }
    my $file = "/srv/cache$path";
    if ($method eq 'PUT') {
        print $client "HTTP/1.1 100 Continue\r\n\r\n" if $expect;
        read $client, my $body, $length;
        mkdir $1 if $file =~ m{^(.*)/};
        open my $out, '>', "$file.new" or die "$file: $!";
        print $out $body;
        close $out;
        rename "$file.new", $file;
        return print $client "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    }
    open my $in, '<', $file
        or return print $client "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    my $body = do { local $/; <$in> };
    print $client "HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n";
    print $client $body if $method eq 'GET';
}
