"""``recinfer sign`` and ``recinfer predict --require-signature``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]

pytest.importorskip("model_signing", reason="model-signing comes with the extra `sign`")


def write_pair(folder: Path, name: str) -> tuple[Path, Path]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}_public.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def test_from_signing_to_each_refusal(run: Run, exported: Callable[[str], Path], rows: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    shutil.copytree(exported("multi_tower"), folder)
    private, public = write_pair(tmp_path, "ours")
    _, other = write_pair(tmp_path, "other")

    def predict(name: str, key: Path) -> Result:
        model, data = ["--scripted_model_path", folder], ["--predict_input_path", rows]
        out = ["--predict_output_path", tmp_path / name]
        return run("predict", *model, *data, *out, "--require-signature", "--public-key", key, "--quiet")

    missing = predict("a", public)
    assert missing.exit_code == 12 and "is not signed" in missing.stderr and "recinfer sign" in missing.stderr
    signed = run("sign", folder, "--private-key", private)
    assert signed.exit_code == 0 and signed.stdout == f"signed: {folder / 'recinfer.sig'}\n"
    assert predict("b", public).exit_code == 0 and (tmp_path / "b" / "_SUCCESS").is_file()
    wrong = predict("c", other)
    assert wrong.exit_code == 13 and "another key" in wrong.stderr
    (folder / "gm.code").write_text("changed", encoding="utf-8")
    tampered = predict("d", public)
    assert tampered.exit_code == 14 and "gm.code was changed" in tampered.stderr
    # Nothing was scored, and every refusal is one message.
    assert not any((tmp_path / name).exists() for name in "acd")
    assert all(each.stderr.count("error: ") == 1 for each in (missing, wrong, tampered))
    assert "signature  recinfer.sig" not in run("inspect", exported("multi_tower")).stdout


def test_flags_that_go_together(run: Run, tmp_path: Path) -> None:
    predict = ["predict", "--scripted_model_path", tmp_path, "--predict_input_path", "x", "--dry-run"]
    for given in (predict, ["compare", tmp_path, tmp_path, "--data", "x"]):
        for alone in (["--require-signature"], ["--public-key", tmp_path / "key.pem"]):
            result = run(*given, *alone)
            assert result.exit_code == 2 and "go together" in result.stderr


def test_a_comparison_verifies_both_sides(
    run: Run, exported: Callable[[str], Path], rows: Path, tmp_path: Path
) -> None:
    private, public = write_pair(tmp_path, "ours")
    sides = [shutil.copytree(exported("multi_tower"), tmp_path / name) for name in ("a", "b")]
    asked = ["compare", *sides, "--data", rows, "--rows", "20", "--require-signature", "--public-key", public]
    for side in sides:
        assert run(*asked).exit_code == 12
        run("sign", side, "--private-key", private)
    assert run(*asked, "--json").exit_code == 0
    (sides[1] / "gm.code").write_text("changed", encoding="utf-8")
    assert run(*asked).exit_code == 14


def test_a_checkpoint_has_no_signature(run: Run, tmp_path: Path) -> None:
    given = ["predict", "--scripted_model_path", tmp_path, "--predict_input_path", "x", "--dry-run"]
    result = run(*given, "--require-signature", "--public-key", tmp_path / "key.pem")
    assert result.exit_code == 12 and "only exports are" in result.stderr
