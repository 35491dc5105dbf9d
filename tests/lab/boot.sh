# Boots one host in its warden's namespaces; what runs in the end is systemd-nspawn.
# Usage: boot.sh FLEET TREE NAME PORT NSPAWN-OPTION…
fleet=$1
tree=$2
name=$3
port=$4
shift 4

home=/mnt/$name
mkdir -p "$home/root" "$home/upper" "$home/work"
exec >>"$home/console" 2>&1
if ! mountpoint --quiet "$home/root"; then
    mount -t overlay -o "lowerdir=$tree,upperdir=$home/upper,workdir=$home/work" overlay "$home/root"
    echo "$name" >"$home/root/etc/hostname"
    tr -d - </proc/sys/kernel/random/uuid >"$home/root/etc/machine-id"
fi

# One cgroup per host: hosts that shared one would stop each other's units.
cgroup=/sys/fs/cgroup/$fleet/$name
mkdir -p "$cgroup"
echo $$ >"$cgroup/cgroup.procs"
exec systemd-nspawn --quiet --boot --register=no --keep-unit --console=pipe --resolv-conf=off \
    --timezone=off --directory="$home/root" --machine="$fleet-$name" --hostname="$name" \
    --network-veth-extra="$port:host0" --bind=/mnt/srv:/srv "$@"
