"""Texts below were recorded on real machines and in containers; a dict of them stands for the file system."""

import pytest

from allcores.runtime import cgroups

V2_MOUNT = (
    "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
)

# A systemd slice inside a slice inside a slice, version 2.
NESTED_V2 = {
    "/proc/self/cgroup": "0::/user.slice/user-1000.slice/run-r1.scope\n",
    "/proc/self/mountinfo": "22 1 0:21 / /proc rw - proc proc rw\n" + V2_MOUNT,
    "/sys/fs/cgroup/user.slice/user-1000.slice/run-r1.scope/cpu.max": "max 100000\n",
    "/sys/fs/cgroup/user.slice/user-1000.slice/cpu.max": "150000 100000\n",
    "/sys/fs/cgroup/user.slice/cpu.max": "800000 100000\n",
    "/sys/fs/cgroup/user.slice/user-1000.slice/run-r1.scope/memory.max": "max\n",
    "/sys/fs/cgroup/user.slice/user-1000.slice/run-r1.scope/memory.high": "max\n",
    "/sys/fs/cgroup/user.slice/user-1000.slice/memory.max": "2147483648\n",
    "/sys/fs/cgroup/user.slice/user-1000.slice/memory.high": "1073741824\n",
    "/sys/fs/cgroup/user.slice/user-1000.slice/memory.current": "734003200\n",
    "/sys/fs/cgroup/user.slice/user-1000.slice/memory.stat": "anon 524288000\ninactive_file 209715200\n",
    "/sys/fs/cgroup/user.slice/memory.max": "17179869184\n",
    "/sys/fs/cgroup/user.slice/memory.current": "17000000000\n",
}

# `docker run --cpus 2.5 --memory 512m` on a host with version 2: a cgroup namespace hides the path.
DOCKER_V2 = {
    "/proc/self/cgroup": "0::/\n",
    "/proc/self/mountinfo": "1289 1288 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw\n",
    "/sys/fs/cgroup/cpu.max": "250000 100000\n",
    "/sys/fs/cgroup/memory.max": "536870912\n",
    "/sys/fs/cgroup/memory.current": "20971520\n",
}

# `docker run --cpus 0.5 --memory 1g` on a host with version 1: the path of the host, mounted by that very path.
DOCKER_V1 = {
    "/proc/self/cgroup": (
        "12:devices:/docker/4f3e\n8:memory:/docker/4f3e\n3:cpu,cpuacct:/docker/4f3e\n"
        "1:name=systemd:/docker/4f3e\n0::/system.slice/containerd.service\n"
    ),
    "/proc/self/mountinfo": (
        "703 702 0:29 /docker/4f3e /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:11 - cgroup cgroup rw,cpu,cpuacct\n"
        "708 702 0:34 /docker/4f3e /sys/fs/cgroup/memory ro,nosuid master:16 - cgroup cgroup rw,memory\n"
    ),
    "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
    "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
    "/sys/fs/cgroup/memory/memory.usage_in_bytes": "314572800\n",
    "/sys/fs/cgroup/memory/memory.stat": "cache 104857600\ninactive_file 1\ntotal_inactive_file 104857600\n",
}

# A virtual machine that mounts version 1 without limits, and an empty version 2 beside it.
UNLIMITED_HYBRID = {
    "/proc/self/cgroup": "9:name=systemd:/\n4:memory:/batch/7\n1:cpu:/\n0::/\n",
    "/proc/self/mountinfo": (
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
        "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
    ),
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "/sys/fs/cgroup/memory/batch/7/memory.limit_in_bytes": "9223372036854771712\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
}


def test_the_tightest_quota_of_nested_groups_counts():
    assert cgroups.quota_cores(NESTED_V2.get) == 1.5


def test_a_container_sees_its_quota_at_the_mount_point():
    assert cgroups.quota_cores(DOCKER_V2.get) == 2.5
    assert cgroups.quota_cores(DOCKER_V1.get) == 0.5


@pytest.mark.parametrize("files", [UNLIMITED_HYBRID, {}], ids=["unlimited", "no files at all"])
def test_no_quota_and_no_limit_are_none(files):
    assert cgroups.quota_cores(files.get) is None
    assert cgroups.memory_limit(files.get) is None


def test_memory_limit_is_the_tightest_and_what_is_left_the_least_of_all_levels():
    mebibyte = 1 << 20
    limit = cgroups.memory_limit(NESTED_V2.get)
    assert limit is not None
    assert limit.limit_bytes == 1024 * mebibyte
    # The user's slice has 1,024 - (700 - 200) MiB left, the slice above it only 179,869,184 bytes.
    assert limit.left_bytes == 17179869184 - 17000000000


def test_caches_that_can_be_dropped_count_as_left():
    mebibyte = 1 << 20
    assert cgroups.memory_limit(DOCKER_V1.get) == (1024 * mebibyte, (1024 - 300 + 100) * mebibyte)
    assert cgroups.memory_limit(DOCKER_V2.get) == (512 * mebibyte, (512 - 20) * mebibyte)


def test_a_path_outside_of_what_is_mounted_is_looked_for_at_the_mount_point():
    moved = {**DOCKER_V2, "/proc/self/cgroup": "0::/../../other\n"}
    assert list(cgroups.directories(moved.get, version=2)) == ["/sys/fs/cgroup"]


def test_directories_go_from_the_process_up_to_the_mount_point():
    assert list(cgroups.directories(NESTED_V2.get, version=2)) == [
        "/sys/fs/cgroup/user.slice/user-1000.slice/run-r1.scope",
        "/sys/fs/cgroup/user.slice/user-1000.slice",
        "/sys/fs/cgroup/user.slice",
        "/sys/fs/cgroup",
    ]


def test_memberships_name_each_controller_of_a_shared_hierarchy():
    assert cgroups.parse_memberships("3:cpu,cpuacct:/a:b\n0::/c\n") == {
        "cpu": "/a:b",
        "cpuacct": "/a:b",
        "": "/c",
    }


def test_a_named_hierarchy_without_controllers_is_not_version_2():
    assert cgroups.parse_memberships("1:name=systemd:/a\n") == {"name=systemd": "/a"}


def test_a_mount_point_may_hold_blanks():
    mounts = cgroups.parse_mounts("29 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n", version=2)
    assert list(mounts) == [("/", "/my groups")]


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("100000 100000\n", 1.0),
        ("25000 50000", 0.5),
        ("300000", 3.0),
        ("0 100000", None),
        ("", None),
        (None, None),
        ("nonsense", None),
    ],
)
def test_cpu_max_is_understood(text, cores):
    assert cgroups.parse_cpu_max(text) == cores


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("1048576\n", 1048576),
        ("max\n", None),
        ("9223372036854771712\n", None),
        ("0\n", 0),
        ("", None),
        (None, None),
    ],
)
def test_a_memory_limit_is_understood(text, limit):
    assert cgroups.parse_limit_bytes(text) == limit


@pytest.mark.parametrize(
    "text", [None, "", "\n", "garbage", "- cgroup2", "1 2 3 4 5 - \n", "1 - cgroup2 x y\n"]
)
def test_broken_mount_tables_are_no_mounts(text):
    assert list(cgroups.parse_mounts(text, version=2)) == []
    assert list(cgroups.parse_mounts(text, version=1, controller="cpu")) == []
