"""Signatures of export folders: every file, by an elliptic-curve key pair, in the format of ``model-signing``.

``recinfer.sig`` lies beside ``recinfer.json``. It covers all files of the folder but itself, by SHA-256: a file that
was changed, added or taken away does not pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import re
from pathlib import Path
from typing import Any

from recinfer.errors import SignatureKeyError, SignatureMissingError, TamperedError, UsageError

SIGNATURE = "recinfer.sig"
PACKAGE = "model-signing"


def sign(folder: Path, private_key: Path) -> Path:
    """Signs all files of a folder.

    Args:
        folder: an export, complete; an older signature is replaced.
        private_key: a PEM file without password, of curve P-256, P-384 or P-521.

    Returns:
        The signature's path.

    Raises:
        UsageError: the key cannot be used, or ``model-signing`` is not installed.
        TamperedError: the folder holds a symbolic link, which a signature cannot cover.
    """
    signing = _package("signing")
    _must_be_there(private_key)
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=private_key)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{private_key} is no private key that can sign: {_first_line(error)}", _KEY_HINT) from error
    target = folder / SIGNATURE
    made = folder / f".{SIGNATURE}.new"
    try:
        config.set_hashing_config(_all_files()).sign(folder, made)
        made.replace(target)
    except ValueError as error:
        raise TamperedError(
            f"{folder} cannot be signed: {_first_line(error)}", "put plain files where links are"
        ) from error
    finally:
        made.unlink(missing_ok=True)
    return target


def verify(folder: Path, public_key: Path) -> None:
    """Refuses a folder that is not as the holder of a key signed it; reads its files and runs nothing.

    Args:
        folder: an export.
        public_key: a PEM file: the pair of the private key.

    Raises:
        SignatureMissingError: there is no signature.
        SignatureKeyError: it was made with another key.
        TamperedError: a file, or the signature itself, is not as it was signed.
        UsageError: the key cannot be used, or ``model-signing`` is not installed.
    """
    path = folder / SIGNATURE
    if not path.is_file():
        raise SignatureMissingError(
            f"{folder} is not signed: {SIGNATURE} is missing", "sign it: recinfer sign EXPORT --private-key FILE"
        )
    verifying = _package("verifying")
    _must_be_there(public_key)
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
        key = _key_hash(public_key)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{public_key} is no public key: {_first_line(error)}", _KEY_HINT) from error
    if _signed_with(path) != key:
        raise SignatureKeyError(
            f"{path} was made with another key than the pair of {public_key}",
            "give the public key of whoever signed it; if that is the right one, do not use the export",
        )
    # The package prints on stdout, where results go.
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            config.set_hashing_config(_all_files()).verify(folder, path)
    except Exception as error:  # whatever the package and the libraries below it make of damaged or forged content
        raise TamperedError(
            f"{folder} is not as it was signed: {_what_differs(error)}",
            "do not use it; get the export again from whoever signed it",
        ) from error


def _must_be_there(key: Path) -> None:
    if not key.is_file():
        raise UsageError(f"the key {key} does not exist", "check the path")


_KEY_HINT = (
    "make a pair: openssl ecparam -name prime256v1 -genkey -noout -out private.pem; "
    "openssl ec -in private.pem -pubout -out public.pem"
)


def _all_files() -> Any:
    """What is hashed: every file but the signature, those of git included, and no link is followed."""
    hashing = _package("hashing")
    ignored = [SIGNATURE, f".{SIGNATURE}.new"]
    return (
        hashing.Config()
        .use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
        .set_ignored_paths(paths=ignored, ignore_git_paths=False)
    )


def _key_hash(public_key: Path) -> str:
    """How a signature names the key that made it: SHA-256 of the public key as PEM."""
    serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
    key = serialization.load_pem_public_key(public_key.read_bytes())
    pem: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _signed_with(path: Path) -> str:
    """The hash of the key that a signature names.

    Raises:
        TamperedError: the file is no signature.
    """
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["verificationMaterial"]["publicKey"]["hint"])
    except (ValueError, KeyError, TypeError) as error:
        raise TamperedError(f"{path} is no signature that can be read", "get the export again") from error


def _package(module: str) -> Any:
    try:
        return importlib.import_module(f"model_signing.{module}")
    except ImportError as error:
        raise UsageError(
            f"signatures need the package {PACKAGE}, which does not import: {error}", "pip install 'recinfer[sign]'"
        ) from error


def _what_differs(error: Exception) -> str:
    """The files that are not as they were signed, of a message with their hashes; any other message as it is."""
    text = _first_line(error)
    changed = re.findall(r"Hash mismatch for \\?'(.*?)\\?':", text)
    named = [("was changed", changed)]
    for verb, start in (("was added", "Extra files found in"), ("is missing", "Missing files in")):
        named.append((verb, re.findall(start + r" model '.*?': ([^\"']*)", text)))
    found = [f"{name} {verb}" for verb, names in named for name in names]
    return "; ".join(found) or text or f"the signature does not fit ({type(error).__name__})"


def _first_line(error: BaseException) -> str:
    if isinstance(error, AttributeError):
        # model-signing reads the curve of whatever key there is.
        return "it is of no elliptic curve"
    text = str(error).strip().splitlines()[0] if str(error).strip() else ""
    # It goes on to name a switch of its own, which nobody can reach here.
    return text.partition(" This behavior can be changed")[0]
