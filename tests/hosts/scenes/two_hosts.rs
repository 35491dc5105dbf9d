//! One repository, two hosts with names, tags and services of their own.

use super::super::lab::acme::Web;
use super::{Acme, Scene};

pub(super) const SCENES: &[Scene] = &[
    ("each_host_runs_what_names_it_its_tags_or_everybody", each_its_own),
    ("a_version_bad_on_one_host_only_is_rolled_back_on_that_host_only", bad_on_one),
    ("a_host_without_its_remote_goes_on_and_catches_up_later", cut_off),
];

fn service(acme: &Acme, name: &str, version: &str, port: u16, hosts: &str) {
    let path = acme.workshop.server(name, version, "");
    acme.web(&Web { name, store_path: &path, port, hosts, more: "" });
}

/// `biz` is tagged `front`; `shop` is tagged `till`.
fn company() -> Acme {
    let acme = Acme::found();
    acme.workshop.write("manifests/hosts/shop.toml", "tags = [\"till\"]\n");
    service(&acme, "web", "w1", 8001, "\"tag:front\"");
    service(&acme, "pay", "p1", 8002, "\"tag:till\", \"elsewhere\"");
    service(&acme, "news", "n1", 8003, "\"*\"");
    service(&acme, "books", "b1", 8004, "\"biz\"");
    acme
}

fn each_its_own() {
    let acme = company();
    let commit = acme.release("Open for business");
    let (biz, shop) = (acme.site("biz"), acme.site("shop"));
    let both = [&biz, &shop];
    both.iter().for_each(|site| site.start());
    both.iter().for_each(|site| drop(site.confirmed(&commit)));
    for (domain, text) in [("web", "w1"), ("news", "n1"), ("books", "b1")] {
        biz.serves(&format!("{domain}.acme.example"), text);
    }
    for (domain, text) in [("pay", "p1"), ("news", "n1")] {
        shop.serves(&format!("{domain}.acme.example"), text);
    }
    assert_eq!((biz.pid("pay"), shop.pid("web"), shop.pid("books")), (0, 0, 0));

    // A change for one host is a generation of the other, too, and touches nothing there.
    let before = ["pay", "news"].map(|name| shop.pid(name));
    service(&acme, "web", "w2", 8001, "\"tag:front\"");
    let commit = acme.release("web: version 2");
    both.iter().for_each(|site| drop(site.confirmed(&commit)));
    biz.serves("web.acme.example", "w2");
    assert_eq!(["pay", "news"].map(|name| shop.pid(name)), before);

    // A service moves from one host to the other.
    service(&acme, "books", "b1", 8004, "\"shop\"");
    let commit = acme.release("books: move to the shop");
    both.iter().for_each(|site| drop(site.confirmed(&commit)));
    shop.serves("books.acme.example", "b1");
    biz.unit_gone("books");
    assert_ne!(biz.host.get("books.acme.example", "/").1, "b1");
}

fn bad_on_one() {
    let acme = company();
    let commit = acme.release("Open for business");
    let (biz, shop) = (acme.site("biz"), acme.site("shop"));
    let both = [&biz, &shop];
    both.iter().for_each(|site| site.start());
    both.iter().for_each(|site| drop(site.confirmed(&commit)));
    let pid = shop.pid("news");
    let path = acme.workshop.server("books", "b2", "--crash");
    acme.web(&Web { name: "books", store_path: &path, port: 8004, hosts: "\"biz\"", more: "" });
    service(&acme, "pay", "p2", 8002, "\"tag:till\"");
    let commit = acme.release("books and pay: version 2");
    biz.judged(&commit, "rolled-back");
    shop.confirmed(&commit);
    biz.serves("books.acme.example", "b1");
    shop.serves("pay.acme.example", "p2");
    assert_eq!(shop.pid("news"), pid);
}

fn cut_off() {
    let acme = company();
    let mut shop = acme.site("shop");
    let forge = acme.forge();
    forge.serve(&mut shop);
    let commit = acme.release("Open for business");
    let told = shop.sync();
    assert!(told.ok, "{told:?}");
    shop.confirmed(&commit);
    shop.host.link_down();
    service(&acme, "pay", "p2", 8002, "\"tag:till\"");
    let commit = acme.release("pay: version 2");
    shop.status_where("a word about the remote", |status| {
        drop(shop.sync());
        status.why().contains(&forge.git_url())
    });
    shop.serves("pay.acme.example", "p1");
    shop.host.link_up();
    shop.confirmed(&commit);
    shop.serves("pay.acme.example", "p2");
}
