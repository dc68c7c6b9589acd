"""Signatures: what was signed passes, and nothing else, before anything in the folder is opened."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recinfer import load_scorer, sign
from recinfer.errors import ModelError, SignatureKeyError, SignatureMissingError, TamperedError, UsageError
from recinfer.predict import export_scorer, signature

pytest.importorskip("model_signing", reason="model-signing comes with the extra `sign`")

Keys = tuple[Path, Path]


def write_pair(folder: Path, name: str, curve: str = "SECP256R1") -> Keys:
    """A private and a public key as PEM files."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(getattr(ec, curve)())
    private, public = folder / f"{name}.pem", folder / f"{name}_public.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return write_pair(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture(scope="module")
def signed_once(exported: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    folder = tmp_path_factory.mktemp("signed") / "export"
    shutil.copytree(exported("multi_tower"), folder)
    assert sign(folder, keys[0]) == folder / "recinfer.sig"
    return folder


@pytest.fixture
def signed(signed_once: Path, tmp_path: Path) -> Path:
    """A copy under another name: where a folder lies does not matter."""
    shutil.copytree(signed_once, tmp_path / "copied")
    return tmp_path / "copied"


def test_a_signed_export_loads_with_and_without_the_key(signed: Path, keys: Keys) -> None:
    assert load_scorer(signed, public_key=keys[1]).fingerprint == load_scorer(signed).fingerprint


def test_the_signature_holds_by_the_mathematics_alone(signed: Path, keys: Keys) -> None:
    """Without the package: the envelope's signature over its payload, and the payload's hashes of the files."""
    import hashlib

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    envelope = json.loads((signed / "recinfer.sig").read_text(encoding="utf-8"))["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    key = serialization.load_pem_public_key(keys[1].read_bytes())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(
        base64.b64decode(envelope["signatures"][0]["sig"]),
        f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload,
        ec.ECDSA(hashes.SHA256()),
    )
    listed = {each["name"]: each["digest"] for each in json.loads(payload)["predicate"]["resources"]}
    files = {path.name for path in signed.iterdir()} - {"recinfer.sig"}
    assert listed == {name: hashlib.sha256((signed / name).read_bytes()).hexdigest() for name in files}


def test_missing(signed: Path, keys: Keys) -> None:
    (signed / "recinfer.sig").unlink()
    with pytest.raises(SignatureMissingError, match=r"is not signed: recinfer\.sig is missing"):
        load_scorer(signed, public_key=keys[1])


def test_wrong_key(signed: Path, tmp_path: Path) -> None:
    _, other = write_pair(tmp_path, "other")
    with pytest.raises(SignatureKeyError, match="was made with another key than the pair of"):
        load_scorer(signed, public_key=other)


@pytest.mark.parametrize("name", ["scripted_model.pt", "recinfer.json", "pipeline.config"])
def test_a_changed_file(signed: Path, keys: Keys, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path) -> None:
        raise AssertionError(f"{path} was opened before it was verified")

    monkeypatch.setattr(export_scorer, "load_scripted", opened)
    (signed / name).write_bytes((signed / name).read_bytes() + b"\n")
    with pytest.raises(TamperedError, match=f"is not as it was signed: {name} was changed\n"):
        load_scorer(signed, public_key=keys[1])


def test_a_manifest_that_was_made_to_fit(signed: Path, keys: Keys) -> None:
    """Whoever changes a file can change its SHA-256 too; that is what signatures are for."""
    import hashlib

    (signed / "gm.code").write_text("other", encoding="utf-8")
    manifest = json.loads((signed / "recinfer.json").read_text(encoding="utf-8"))
    manifest["sha256"]["gm.code"] = hashlib.sha256(b"other").hexdigest()
    (signed / "recinfer.json").write_text(json.dumps(manifest), encoding="utf-8")
    load_scorer(signed)
    with pytest.raises(TamperedError, match=r"gm\.code was changed; recinfer\.json was changed"):
        load_scorer(signed, public_key=keys[1])


def test_files_that_came_or_went(signed: Path, keys: Keys) -> None:
    (signed / ".gitattributes").write_text("", encoding="utf-8")
    with pytest.raises(TamperedError, match=r"\.gitattributes was added"):
        load_scorer(signed, public_key=keys[1])
    (signed / ".gitattributes").unlink()
    (signed / "fg.json").unlink()
    with pytest.raises(TamperedError, match=r"fg\.json is missing"):
        load_scorer(signed, public_key=keys[1])


def test_a_forged_signature(signed: Path, keys: Keys, tmp_path: Path) -> None:
    """One of another key that claims ours, and one whose payload was edited."""
    path = signed / "recinfer.sig"
    ours = json.loads(path.read_text(encoding="utf-8"))
    sign(signed, write_pair(tmp_path, "other")[0])
    forged = json.loads(path.read_text(encoding="utf-8"))
    forged["verificationMaterial"] = ours["verificationMaterial"]
    path.write_text(json.dumps(forged), encoding="utf-8")
    with pytest.raises(TamperedError, match="the signature does not fit"):
        load_scorer(signed, public_key=keys[1])
    payload = base64.b64decode(ours["dsseEnvelope"]["payload"]).replace(b"sha256", b"sha255", 1)
    ours["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    path.write_text(json.dumps(ours), encoding="utf-8")
    with pytest.raises(TamperedError, match="the signature does not fit"):
        load_scorer(signed, public_key=keys[1])


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"verificationMaterial": {"publicKey": null}}'])
def test_a_file_that_is_no_signature(signed: Path, keys: Keys, text: str) -> None:
    (signed / "recinfer.sig").write_text(text, encoding="utf-8")
    with pytest.raises(TamperedError, match="is no signature that can be read"):
        load_scorer(signed, public_key=keys[1])


def test_a_signature_without_an_envelope(signed: Path, keys: Keys) -> None:
    content = json.loads((signed / "recinfer.sig").read_text(encoding="utf-8"))
    del content["dsseEnvelope"]
    (signed / "recinfer.sig").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(TamperedError, match="is not as it was signed"):
        load_scorer(signed, public_key=keys[1])


def test_keys_that_cannot_be_used(signed: Path, keys: Keys, tmp_path: Path) -> None:
    before = (signed / "recinfer.sig").read_bytes()
    weak, _ = write_pair(tmp_path, "weak", "SECP256K1")
    (tmp_path / "text.pem").write_text("no key", encoding="utf-8")
    for key in (weak, keys[1], tmp_path / "text.pem"):
        with pytest.raises(UsageError, match="is no private key that can sign"):
            sign(signed, key)
    for key in (keys[0], tmp_path / "text.pem"):
        with pytest.raises(UsageError, match="is no public key"):
            load_scorer(signed, public_key=key)
    for use in (lambda key: sign(signed, key), lambda key: load_scorer(signed, public_key=key)):
        with pytest.raises(UsageError, match="nowhere does not exist"):
            use(tmp_path / "nowhere")
    assert (signed / "recinfer.sig").read_bytes() == before
    assert not list(signed.glob(".recinfer.sig*"))


@pytest.mark.parametrize("curve", ["SECP384R1", "SECP521R1"])
def test_other_curves(signed: Path, tmp_path: Path, curve: str) -> None:
    private, public = write_pair(tmp_path, curve, curve)
    signature.sign(signed, private)
    signature.verify(signed, public)


def test_only_whole_exports_are_signed(signed: Path, keys: Keys, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no export"):
        sign(tmp_path, keys[0])
    (signed / "fg.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"fg\.json is not the file that was exported"):
        sign(signed, keys[0])


def test_links_are_not_signed(signed: Path, keys: Keys) -> None:
    (signed / "link").symlink_to(signed / "fg.json")
    with pytest.raises(TamperedError, match="cannot be signed"):
        signature.sign(signed, keys[0])


def test_without_the_package_there_is_one_clear_error(signed: Path, keys: Keys) -> None:
    script = f"""
import sys
sys.modules["model_signing"] = None
from pathlib import Path
from recinfer.errors import UsageError
from recinfer.predict import signature
for call, key in ((signature.sign, {str(keys[0])!r}), (signature.verify, {str(keys[1])!r})):
    try:
        call(Path({str(signed)!r}), Path(key))
    except UsageError as error:
        print(error)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert result.stdout.count("pip install 'recinfer[sign]'") == 2, result.stderr
