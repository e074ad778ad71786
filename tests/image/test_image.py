"""What a commit becomes: the same bytes whoever builds it, nothing but what it needs, and the process's own answers."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from lockgate import canonical
from lockgate.aws.attestation_job import bill_of_materials
from lockgate.aws.attestations import Attestations, sign
from lockgate.configuration.model import read_model
from lockgate.evidence.provenance import PROVENANCE, SBOM, Build, bundle, check, predicate_of, statement

if TYPE_CHECKING:
    from tests.image.conftest import EmbeddedRegistry, Programs

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "000000000000", "us-east-1"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
USER = 10001
LIMIT_MB, LIMIT_COLD_S = 700, 60
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--network", "none", "--user", f"{USER}:{USER}"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)
# Runs beside the server in its container, which nothing outside can reach.
ASK = """
import json, sys, time, urllib.request
deadline = time.monotonic() + 60
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:8080/ping", timeout=2).read()
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.02)
body = sys.stdin.buffer.read()
if body:
    asked = urllib.request.Request("http://127.0.0.1:8080/invocations", body, {"Content-Type": "application/json"})
    sys.stdout.write(urllib.request.urlopen(asked, timeout=30).read().decode())
"""


def build(tools: Programs, base_image: str, source: Path, name: str) -> None:
    """As the buildspec builds: the same Dockerfile, arguments, label and times. HEALTHCHECK needs docker's format."""
    tools.run(
        *("buildah", "bud", "--quiet", "--no-cache", "--format", "docker", "--isolation", "oci", "--runtime", "runc"),
        *("--network", "host", "--pull-never", "--timestamp", "0"),
        *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--build-arg", f"BASE_IMAGE={base_image}"),
        *("--label", f"org.opencontainers.image.revision={'c' * 40}"),
        *("--file", str(source / "model" / "Dockerfile"), "--tag", name, str(source)),
    )


def checkout(folder: Path) -> Path:
    """The files of this checkout that an image can have."""
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("lockgate", "model", "runtime"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / ".dockerignore", folder)
    return folder


def pushed(tools: Programs, registry: EmbeddedRegistry, name: str, tag: str, *options: str) -> str:
    file = tools.folder / f"{tag}.digest"
    to = f"docker://{registry.host}/lockgate-models:{tag}"
    tools.run("buildah", "push", "--quiet", *registry.access, *options, "--digestfile", str(file), name, to)
    return file.read_text().strip()


@pytest.fixture(scope="module")
def digest(
    tools: Programs, registry: EmbeddedRegistry, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Of the commit's image, built and pushed under the commit's tag."""
    build(tools, base_image, checkout(tmp_path_factory.mktemp("first") / "source"), "localhost/models:first")
    return pushed(tools, registry, "localhost/models:first", "c" * 40)


@pytest.fixture(scope="module")
def pulled(tools: Programs, registry: EmbeddedRegistry, digest: str) -> Iterator[tuple[Programs, str]]:
    """A store that has the image from the registry, by its digest, and nothing else."""
    apart, image = tools.apart("pulled"), f"{registry.host}/lockgate-models@{digest}"
    apart.run("podman", "pull", "--quiet", *registry.access, image)
    yield apart, image
    apart.run("podman", "rm", "--force", "--all", "--time", "1")


@dataclass(frozen=True)
class Trained:
    """The folder of a job after its training step."""

    root: Path

    @property
    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (self.root / "model").iterdir()}


def job(root: Path) -> Path:
    """What SageMaker lays below /opt/ml before it starts a training job."""
    model = read_model(ROOT / "model" / "employment")
    channel = root / "input" / "data" / "train"
    for folder in (channel, root / "model", root / "output"):
        folder.mkdir(parents=True)
    for name, data in (("train", model.train_data), ("holdout", model.holdout_data)):
        pq.write_table(pq.read_table(ROOT / data).slice(0, 4000), channel / f"{name}.parquet")
    return root


@pytest.fixture(scope="module")
def trained(pulled: tuple[Programs, str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    tools, image = pulled
    root = job(tmp_path_factory.mktemp("container"))
    for folder in (root / "model", root / "output"):
        os.chown(folder, USER, USER)
    root.chmod(0o755)
    tools.run(
        *("podman", "run", "--rm", *HARDENED, "--volume", f"{root}:/opt/ml", "--env", "MODEL=employment"),
        *(image, "train"),
    )
    return Trained(root)


@pytest.fixture(scope="module")
def as_process(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = job(tmp_path_factory.mktemp("process"))
    environment = {**os.environ, "MODEL": "employment", "ML_ROOT": str(root)}
    subprocess.run([sys.executable, "-m", "runtime", "train"], cwd=ROOT, env=environment, check=True)
    return Trained(root)


def test_the_same_commit_gives_the_same_digest_in_another_folder_with_other_times_and_modes(
    tools: Programs, registry: EmbeddedRegistry, base_image: str, digest: str, tmp_path: Path
) -> None:
    """Pushed as OCI images: into Docker's format buildah writes the random id of the container it worked in."""
    other = checkout(tmp_path / "other")
    for path in (other, *other.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1, 1))
    build(tools, base_image, other, "localhost/models:second")
    oci = ("--format", "oci")
    first = pushed(tools, registry, "localhost/models:first", "first", *oci)
    assert pushed(tools, registry, "localhost/models:second", "second", *oci) == first


def test_a_tag_that_holds_another_image_is_not_moved(
    tools: Programs, registry: EmbeddedRegistry, base_image: str, digest: str
) -> None:
    to = f"docker://{registry.host}/lockgate-models:{'c' * 40}"
    refused = subprocess.run(
        ["buildah", "push", "--quiet", *registry.access, base_image, to],
        env=tools.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "immutable" in refused.stderr
    found = registry.client("ecr").describe_images(repositoryName="lockgate-models", imageIds=[{"imageTag": "c" * 40}])
    assert found["imageDetails"][0]["imageDigest"] == digest


def test_the_image_has_no_compiler_the_library_that_lightgbm_needs_and_a_health_check(
    pulled: tuple[Programs, str],
) -> None:
    tools, image = pulled
    (facts,) = json.loads(tools.run("podman", "inspect", image))
    assert facts["Config"]["Entrypoint"] == ["python3", "-m", "runtime"]
    assert facts["Healthcheck"]["Test"][0] == "CMD"
    assert facts["Labels"]["org.opencontainers.image.revision"] == "c" * 40
    look = "import shutil; print([p for p in ('cc', 'gcc', 'clang', 'zig', 'ld', 'make') if shutil.which(p)])"
    code = ["podman", "run", "--rm", *HARDENED, "--entrypoint", "python3", image, "-c"]
    assert tools.run(*code, look) == "[]"
    assert tools.run(*code, "import importlib.util as u; print(u.find_spec('ziglang'))") == "None"
    loads_once = (
        "import ctypes, sklearn.ensemble; ctypes.CDLL('libgomp.so.1'); maps = open('/proc/self/maps'); "
        "print(len({line.split()[-1] for line in maps if 'gomp' in line}))"
    )
    assert tools.run(*code, loads_once) == "1", "LightGBM asks for this library by this name"


def test_a_container_may_write_nowhere_and_reach_nobody(pulled: tuple[Programs, str]) -> None:
    tools, image = pulled
    code = (
        "import os, socket\n"
        "print(os.getuid(), os.access('/app', os.W_OK), os.access('/opt/packages', os.W_OK))\n"
        "print([name for _, name in socket.if_nameindex()])\n"
        "try:\n open('/app/x', 'w')\nexcept OSError as error:\n print(error.strerror)"
    )
    said = tools.run("podman", "run", "--rm", *HARDENED, "--entrypoint", "python3", image, "-c", code).splitlines()
    assert said == [f"{USER} False False", "['lo']", "Read-only file system"]


def test_it_trains_the_model_that_the_process_trains_and_serves_the_same_predictions(
    pulled: tuple[Programs, str], trained: Trained, as_process: Trained, record_property: Any
) -> None:
    tools, image = pulled
    name = f"serves-{secrets.token_hex(4)}"
    settings = {
        "MODEL": "employment",
        "MODEL_CONTENTS_SHA256": canonical.contents_sha256(trained.files),
        "BIND_HOST": "127.0.0.1",
        "RELEASE_VERSION": "1",
        "RELEASE_COMMIT": "c" * 40,
        "VERDICT_ID": "employment/1",
    }
    given = [word for key, value in settings.items() for word in ("--env", f"{key}={value}")]
    (trained.root / "model").chmod(0o755)
    begin = time.monotonic()
    tools.run(
        *(
            "podman",
            "run",
            "--detach",
            "--name",
            name,
            *HARDENED,
            "--volume",
            f"{trained.root / 'model'}:/opt/ml/model:ro",
        ),
        *(*given, image, "serve"),
    )
    tools.run("podman", "exec", "--interactive", name, "python3", "-c", ASK, input="")
    cold = time.monotonic() - begin
    model = read_model(ROOT / "model" / "employment")
    columns = [feature.name for feature in model.features]
    rows = pq.read_table(ROOT / model.holdout_data).slice(0, 500).select(columns).to_pylist()
    body = json.dumps({"instances": rows})
    answer = json.loads(tools.run("podman", "exec", "--interactive", name, "python3", "-c", ASK, input=body))
    tools.run("podman", "stop", "--time", "5", name)

    size = int(json.loads(tools.run("podman", "inspect", image))[0]["Size"]) / 1e6
    record_property("image_mb", size)
    record_property("cold_start_s", cold)
    assert answer["predictions"] == predictions(as_process, rows)
    assert size < LIMIT_MB
    assert cold < LIMIT_COLD_S


def predictions(by: Trained, rows: list[dict[str, Any]]) -> list[float]:
    """What scikit-learn itself predicts with the model that the process trained."""
    from runtime.artifact import answers, read_artifact
    from runtime.frames import frame_of_instances

    model = read_model(ROOT / "model" / "employment")
    estimator = read_artifact(by.files, model)
    found: list[float] = answers(estimator, frame_of_instances(rows, model), model).tolist()
    return found


@pytest.fixture(scope="module")
def signed(registry: EmbeddedRegistry, digest: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The key in KMS with which both statements beside the image are signed, and its public key as a file."""
    ecr, kms = registry.client("ecr"), registry.client("kms")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    public = kms.get_public_key(KeyId=key)["PublicKey"]
    about = Build(
        project_arn=f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/lockgate-image",
        build_arn=f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/lockgate-image:1",
        commit="c" * 40,
        source_uri="s3://source/commits/c.zip",
        source_version="v1",
        source_sha256="5" * 64,
        base_image="python@sha256:" + "b" * 64,
        started="2026-11-22T00:00:00+00:00",
        finished="2026-11-22T00:01:00+00:00",
    )
    beside = Attestations(ecr, ACCOUNT, "lockgate-models")
    for kind, predicate in ((SBOM, bill_of_materials(beside, digest)), (PROVENANCE, predicate_of(about))):
        payload = statement(f"{registry.host}/lockgate-models", digest, kind, predicate)
        beside.attach(digest, kind, bundle(payload, sign(kms, key, payload), public))
    from cryptography.hazmat.primitives import serialization

    file = tmp_path_factory.mktemp("key") / "cosign.pub"
    loaded = serialization.load_der_public_key(public)
    file.write_bytes(loaded.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return key, file


def test_the_gate_finds_what_stands_beside_the_image_and_what_is_in_it(
    registry: EmbeddedRegistry, digest: str, signed: tuple[str, Path]
) -> None:
    beside = Attestations(registry.client("ecr"), ACCOUNT, "lockgate-models")
    found = beside.find(digest, registry.client("kms"), signed[0])
    checked = check(found, digest=digest, commit="c" * 40, account=ACCOUNT, region=REGION)
    assert checked.complaints == ()
    statements = {json.loads(one.payload)["predicateType"]: json.loads(one.payload)["predicate"] for one in found}
    listed = {(part["name"], part.get("version")) for part in statements[SBOM]["components"]}
    wanted = dict(line.split("==") for line in (ROOT / "model" / "requirements.in").read_text().split() if "==" in line)
    assert set(wanted.items()) <= listed


@pytest.mark.parametrize("kind", ["slsaprovenance1", "cyclonedx"])
def test_cosign_verifies_both_statements_with_the_public_key_alone(
    cosign: str, registry: EmbeddedRegistry, digest: str, signed: tuple[str, Path], kind: str, tmp_path: Path
) -> None:
    done = verified(cosign, registry, digest, signed[1], kind, tmp_path)
    assert done.returncode == 0, done.stderr
    assert digest.removeprefix("sha256:") in done.stdout + done.stderr or done.stdout


def test_cosign_refuses_another_key(
    cosign: str, registry: EmbeddedRegistry, digest: str, signed: tuple[str, Path], tmp_path: Path
) -> None:
    kms = registry.client("kms")
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_der_public_key(kms.get_public_key(KeyId=other)["PublicKey"])
    file = tmp_path / "other.pub"
    file.write_bytes(loaded.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    assert verified(cosign, registry, digest, file, "slsaprovenance1", tmp_path).returncode != 0
    beside = Attestations(registry.client("ecr"), ACCOUNT, "lockgate-models")
    assert not any(one.signed for one in beside.find(digest, kms, other))


def verified(
    cosign: str, registry: EmbeddedRegistry, digest: str, key: Path, kind: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """cosign, without transparency log or network: the key is all it trusts."""
    root = folder / "root.json"
    root.write_text(json.dumps({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}))
    environment = {
        **os.environ,
        "HOME": str(folder),
        "DOCKER_CONFIG": str(registry.folder),
        "SSL_CERT_FILE": str(registry.settings.ca_bundle),
    }
    command = [
        *(cosign, "verify-attestation", "--new-bundle-format", "--key", str(key), "--type", kind),
        *("--insecure-ignore-tlog=true", "--trusted-root", str(root)),
        f"{registry.host}/lockgate-models@{digest}",
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
