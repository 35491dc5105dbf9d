# The warden of one fleet: it holds the mounts, the network and the cgroup of the
# hosts, and ends them all when its standard input closes, however that comes about.
# Usage: warden.sh TREE, in mount and network namespaces of its own
fleet=writ-fleet-$$
tree=$1

# A cgroup's processes, then the cgroup itself.
end() {
    echo 1 >"$1/cgroup.kill"
    tries=0
    until find "$1" -depth -type d -exec rmdir {} +; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || return 0
        sleep 0.05 # a killed process leaves its cgroup a moment later
    done 2>/dev/null
}

# Hosts need version 2, which the machine itself may not mount.
! mountpoint --quiet /sys/fs/cgroup || umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
cd /sys/fs/cgroup
for left in writ-fleet-*; do # of wardens that were killed themselves
    [ ! -d "$left" ] || [ -d "/proc/${left#writ-fleet-}" ] || end "$left"
done
mkdir "$fleet"

exec 9<"$tree"
flock --shared 9 # nobody replaces the tree while hosts run from it
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/srv
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn # it leaves traces there when killed
ip link set lo up
ip link add switch type bridge
ip link set switch up

echo ready
cat >/dev/null
end "$fleet"
