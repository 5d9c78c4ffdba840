"""The real node, as far as it can be told without one: preflight's judgements, configuration, addresses, images."""

import hashlib
import io
import ipaddress
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import toolchain
from sandbox.credentials import POD_RANGE, SERVICE_RANGE
from sandbox.errors import SandboxError
from sandbox.images import archive
from sandbox.images.layers import Layer
from sandbox.images.recipes import PAUSE, RECIPES, Recipe
from sandbox.node import configs, layout, preflight, volumes
from stack.images import read_lock


def test_a_user_who_is_not_root_is_told_that_root_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SandboxError) as refused:
        preflight.check(tmp_path)
    assert "needs root" in refused.value.text()
    assert "make up" in refused.value.text(), "who cannot have a node can still have the simulated cluster"


def test_another_system_than_linux_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert preflight.problems(tmp_path) == ["this is Darwin, a node needs Linux"]


def test_a_container_without_privileges_is_refused_by_the_name_of_what_it_lacks() -> None:
    default_of_containers = 0x00000000A80425FB
    assert preflight.missing_capabilities(default_of_containers) == ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"]
    without_sys_resource = 0x1FFFEFFFFFF
    assert preflight.missing_capabilities(without_sys_resource) == [], "a node runs without SYS_RESOURCE"


def test_cgroups_of_both_versions_are_understood() -> None:
    old = "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu,cpuacct 0 0\ncgroup /x cgroup rw,memory 0 0\n"
    assert preflight.missing_controllers(None, old) == ["cpuset", "pids"]
    assert preflight.missing_controllers("cpuset cpu io memory pids\n", "") == []
    assert preflight.missing_controllers("cpu io\n", old) == ["cpuset", "memory", "pids"]


def test_a_network_of_the_machine_in_the_way_is_found_and_its_own_cable_is_not() -> None:
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"dst": "198.18.0.0/17", "dev": "mine"},
        {"dst": "198.19.4.0/24", "dev": "vpn"},
    ]
    assert preflight.conflicting_routes(routes, "mine") == ["198.19.4.0/24 (device vpn)"]


def test_addresses_lie_in_the_ranges_for_tests_and_do_not_overlap() -> None:
    nodes = tuple(layout.Node(name=f"n{i}", index=i) for i in range(layout.MAX_NODES))
    pods = [ipaddress.IPv4Network(node.pods) for node in nodes]
    whole = ipaddress.ip_network(POD_RANGE)
    assert all(whole[0] <= network[0] and network[-1] <= whole[-1] for network in pods)
    assert len({*pods}) == len(nodes)
    assert not any(network.overlaps(layout.CABLES) for network in pods), "no pod may get an address of a cable"
    assert not layout.CABLES.overlaps(ipaddress.ip_network(SERVICE_RANGE))
    addresses = {layout.MACHINE_ADDRESS, *(node.address for node in nodes)}
    assert len(addresses) == len(nodes) + 1
    destinations = layout.routes(nodes)
    assert not {"default", "0.0.0.0/0", "198.18.0.0/15"} & set(destinations), "that would take the machine's traffic"


def test_nodes_are_read_as_they_were_written(tmp_path: Path) -> None:
    taint = {"key": "a", "value": "b", "effect": "NoSchedule"}
    nodes = (layout.Node(name="a", index=0, labels={"x": "y"}), layout.Node(name="b", index=1, taints=(taint,)))
    assert layout.read_nodes(tmp_path) == ()
    layout.write_nodes(tmp_path, nodes)
    assert layout.read_nodes(tmp_path) == nodes


def test_socket_paths_are_short_enough_for_the_kernel() -> None:
    assert len(str(layout.HOME / "kubelet/device-plugins/kubelet.sock")) <= 107
    assert len(layout.identifier(Path("/a/very/long/path") / ("x" * 200))) <= 15, "names of network devices end there"


def test_the_configuration_is_what_the_programs_need_on_such_machines() -> None:
    kubelet = json.loads(configs.kubelet(layout.DEFAULT[0], "sandbox-x", "6Gi"))
    assert kubelet["failCgroupV1"] is False
    assert kubelet["evictionHard"] == {}
    assert kubelet["imageGCHighThresholdPercent"] == 100, "an image that is collected cannot be pulled again"
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet["cgroupRoot"] == "/sandbox-x", "down removes that cgroup, so everything must be in it"
    assert "restrict_oom_score_adj = true" in configs.containerd(Path("/x/runc"))
    kube_proxy = json.loads(configs.kube_proxy(layout.DEFAULT[0]))
    assert kube_proxy["conntrack"]["maxPerCore"] == 0, "the machine's connection tracking is not ours to size"
    local = ipaddress.ip_network(kube_proxy["clusterCIDR"])
    assert not local.overlaps(layout.CABLES), "what the machine sends to a Service must come back through its node"


def test_kubelet_has_the_version_of_the_control_plane() -> None:
    path = "k8s.io/kubernetes"
    assert toolchain.pinned("node/kubelet", path) == toolchain.pinned("kubernetes", path)


def test_programs_of_a_node_are_not_built_for_the_simulated_cluster() -> None:
    tools = toolchain.tools()
    assert all(tools[name].on_demand for name in toolchain.NODE)
    assert not any(tools[name].on_demand for name in toolchain.CONTROL_PLANE)


def test_a_volume_belongs_to_its_claim_and_its_node() -> None:
    claim = {
        "metadata": {"name": "data", "namespace": "matrix", "uid": "u"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    found = volumes.volume(claim, "pvc-u", {"metadata": {"name": "fast"}, "reclaimPolicy": "Retain"}, "node-1")
    assert found["spec"]["claimRef"]["uid"] == "u", "another claim of the same name must not get these data"
    assert found["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert found["spec"]["hostPath"]["path"] == "/run/node/volumes/pvc-u"
    assert "node-1" in json.dumps(found["spec"]["nodeAffinity"])


# ---- images ----------------------------------------------------------------------------------------------------------


def test_recipes_are_of_images_that_the_platform_has() -> None:
    unknown = set(RECIPES) - {PAUSE} - set(read_lock())
    assert not unknown, "a recipe under another name would never be used"


def test_an_image_is_made_anew_when_anything_about_it_changes() -> None:
    recipe = Recipe(packages=("a",), programs={"/a": "runc"})
    keys = {
        recipe.key("base", {"/a": "1"}),
        recipe.key("other", {"/a": "1"}),
        recipe.key("base", {"/a": "2"}),
        replace(recipe, packages=("a", "b")).key("base", {"/a": "1"}),
        replace(recipe, script=("true",)).key("base", {"/a": "1"}),
    }
    assert len(keys) == 5
    assert recipe.key("base", {"/a": "1"}) == Recipe(packages=("a",), programs={"/a": "runc"}).key("base", {"/a": "1"})


def test_an_archive_holds_each_layer_once_and_names_its_images(tmp_path: Path) -> None:
    layers = []
    for name in ("base", "top"):
        path = tmp_path / f"{name}.tar"
        path.write_bytes(name.encode())
        digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        layers.append(Layer(path, digest, path.stat().st_size))
    base, top = layers
    images = [
        archive.Image("a.example/x:1", (base,)),
        archive.Image("a.example/y:1", (base, top), {"K": "v"}, ("run",)),
    ]
    output = io.BytesIO()
    archive.write(images, output)
    with tarfile.open(fileobj=io.BytesIO(output.getvalue())) as read:
        names = read.getnames()
        content = {name: file.read() for name in names if (file := read.extractfile(name))}
    assert len(names) == len(set(names)), "a layer that several images share is written once"
    for name, data in content.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2]
    index = json.loads(content["index.json"])
    found = {m["annotations"]["io.containerd.image.name"]: m["digest"] for m in index["manifests"]}
    assert found == {image.reference: archive.digest(image) for image in images}
    manifest = json.loads(content[f"blobs/{found['a.example/y:1'].replace(':', '/')}"])
    assert [layer["digest"] for layer in manifest["layers"]] == [base.digest, top.digest]
    config = json.loads(content[f"blobs/{manifest['config']['digest'].replace(':', '/')}"])
    assert "K=v" in config["config"]["Env"]
    assert config["config"]["Cmd"] == ["run"]
