"""What `volant ship` writes: whole, linted where there are linters, and never over something else."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import yaml

from volant.cli.main import main
from volant.core.product import read
from volant.serve.shipping.files import TARGETS, USER, ship
from volant.testing import handmade

POSTGRES = handmade.FILE_TEXT + '[store]\nurl = "${DATABASE_URL}"\n[serve]\nkey = "${SERVICE_KEY}"\n'


@pytest.fixture(params=[handmade.FILE_TEXT, POSTGRES], ids=["sqlite", "postgres"])
def product(request, tmp_path):
    return handmade.make_product(tmp_path / "Chürn %h", request.param)


def documents(paths) -> list[dict]:
    return [one for path in paths for one in yaml.safe_load_all(path.read_text()) if one]


def test_every_target_is_written_twice_and_nothing_is_written_over(product, tmp_path):
    for target in TARGETS:
        paths = ship(product, target, tmp_path / target)
        assert paths
        assert ship(product, target, tmp_path / target) == paths
        paths[0].write_text("mine")
        with pytest.raises(Exception, match="such a file already"):
            ship(product, target, tmp_path / target)
        assert paths[0].read_text() == "mine"


def test_containers_have_no_more_than_they_need(product, tmp_path):
    dockerfile, _, compose = ship(product, "docker", tmp_path)
    text = dockerfile.read_text()
    assert f"USER {USER}:{USER}" in text
    assert "HEALTHCHECK" in text
    assert ":latest" not in text
    service = yaml.safe_load(compose.read_text())["services"]["volant"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    names = {"DATABASE_URL", "SERVICE_KEY"} if product.file.store.url else set()
    assert set(service.get("environment", {})) == names


def test_manifests_ask_readiness_and_scale_only_where_that_is_safe(product, tmp_path):
    made = {(one["kind"], one["metadata"]["name"]): one for one in documents(ship(product, "k8s", tmp_path))}
    kinds = {kind for kind, _ in made}
    [pods] = [one["spec"] for (kind, _), one in made.items() if kind == "StatefulSet"]
    [container] = pods["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v1/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v1/health/live"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pods["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    scales = product.file.store.url is not None
    assert ({"HorizontalPodAutoscaler", "PodDisruptionBudget"} <= kinds) is scales
    assert ("replicas" in pods) is not scales, "SQLite bears one pod; an autoscaler sets the number itself"
    [file] = [one for (kind, _), one in made.items() if kind == "ConfigMap"]
    assert file["data"]["volant.toml"].strip() == (product.folder / "volant.toml").read_text().strip()


def test_the_unit_is_one_that_systemd_takes(product, tmp_path):
    [unit] = ship(product, "systemd", tmp_path, account="daemon")
    text = unit.read_text()
    assert "ProtectSystem=strict" in text
    assert "%%h" in text, "a percent sign of a folder is no specifier"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    unit.write_text(text.replace("EnvironmentFile=/etc", "EnvironmentFile=-/etc"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert unit.name not in done.stderr, done.stderr


def test_the_command(tmp_path, capsys):
    product = handmade.make_product(tmp_path / "churn")
    assert main(["-C", str(product.folder), "--json", "ship", "k8s"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert read(product.folder) == product
    assert {path.rpartition("/")[2] for path in told["files"]} == {"config.yaml", "service.yaml", "workload.yaml"}
    assert main(["-C", str(product.folder), "ship", "nomad"]) == 2
