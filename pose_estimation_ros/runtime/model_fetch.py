"""Models from elsewhere: missing files of a known one, or a whole one by its address."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urljoin, urlsplit

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.download import ExpectedContent, Progress, download
from pose_estimation_ros.runtime.manifest import (
    MANIFEST_NAME,
    ModelFile,
    ModelManifest,
    file_sha256,
    read_manifest,
)
from pose_estimation_ros.runtime.model_folder import finish_folder, unfinished_folder
from pose_estimation_ros.runtime.model_store import Model

ARCHIVE_SUFFIXES = ('.zip', '.tar', '.tar.gz', '.tgz', '.tar.xz', '.tar.bz2')

StartProgress = Callable[[str], AbstractContextManager[Progress]]
"""Makes the progress of one file by its name."""

_Open = Callable[[str], IO[bytes]]

# What reading an archive raises that is damaged, encrypted or packed by an unknown method.
_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, RuntimeError, ValueError,
               lzma.LZMAError, zlib.error)


def fetch_missing_files(model: Model, start_progress: StartProgress) -> list[Path]:
    """Download those files of a model that are not there, or not as they should be.

    Args:
        model: A model with a manifest on this machine.
        start_progress: Shows the progress of a file.

    Returns:
        What was downloaded.

    Raises:
        ModelError: If a file has no address, cannot be fetched, or is not what the manifest says.
    """
    fetched = []
    for role, file in model.manifest.files.items():
        path = model.folder / file.path
        if not file.url:
            model.file(role)
        if not file.url or _is_whole(path, file):
            continue
        with start_progress(path.name) as progress:
            download(file.url, path, ExpectedContent(file.sha256, file.bytes), progress)
        fetched.append(path)
    return fetched


def fetch_model(url: str, folder: Path, start_progress: StartProgress, sha256: str = '') -> Model:
    """Download a model and put it into a folder of models.

    The model appears under its name when all its files are whole; one of the same name is
    replaced then. What has arrived of a file whose hash is known is kept until a call completes
    it.

    Args:
        url: Address of a `model.yaml`, whose files are taken from their own addresses or from
            beside it, or of a zip or tar archive that holds one model's folder.
        folder: Folder of models, such as `cache_folder()`.
        start_progress: Shows the progress of a file.
        sha256: Hash of what lies at the address; '' = not known. The files of the model are
            checked against its manifest in any case.

    Raises:
        ModelError: If anything cannot be fetched or written, or is not what it should be.
    """
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if name != MANIFEST_NAME and not name.endswith(ARCHIVE_SUFFIXES):
        raise ModelError(f'{url} is neither a {MANIFEST_NAME} nor an archive of a model '
                         f'({", ".join(ARCHIVE_SUFFIXES)}); give the address of one of these')
    arrived = folder / f'{zlib.crc32(url.encode()):08x}-{name}'
    with start_progress(name) as progress:
        download(url, arrived, ExpectedContent(sha256), progress)
    try:
        if name == MANIFEST_NAME:
            return _from_manifest(url, arrived, folder, start_progress)
        return _from_archive(arrived, folder)
    except OSError as error:
        raise ModelError(f'the model cannot be written into {folder}: {error.strerror}; free some '
                         'space, or choose a folder that you may write to') from error
    finally:
        arrived.unlink()


def _is_whole(path: Path, file: ModelFile) -> bool:
    return (path.is_file() and path.stat().st_size == file.bytes
            and file_sha256(path) == file.sha256)


def _from_manifest(url: str, file: Path, folder: Path, start_progress: StartProgress) -> Model:
    manifest = read_manifest(file)
    staging = _staging_folder(manifest, folder)
    for entry in manifest.files.values():
        path = staging / entry.path
        if _is_whole(path, entry):
            continue
        with start_progress(path.name) as progress:
            download(entry.url or urljoin(url, entry.path), path,
                     ExpectedContent(entry.sha256, entry.bytes), progress)
    shutil.copyfile(file, staging / MANIFEST_NAME)
    return _publish(manifest, staging, folder)


def _from_archive(file: Path, folder: Path) -> Model:
    try:
        if file.name.endswith('.zip'):
            with zipfile.ZipFile(file) as archive:
                return _from_members(file, archive.namelist(), archive.open, folder)
        with tarfile.open(file) as archive:
            members = [member.name for member in archive if member.isfile()]
            return _from_members(file, members, _opener(archive), folder)
    except _UNREADABLE as error:
        # Decompressors give no number; the system does, such as that of a full disk.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ModelError(f'the archive {file.name} cannot be read ({error}); it must be whole, '
                         'not encrypted, and packed by a common method: ask whoever offers '
                         'it') from error


def _opener(archive: tarfile.TarFile) -> _Open:
    def open_member(name: str) -> IO[bytes]:
        member = archive.extractfile(name)
        if member is None:
            raise tarfile.TarError(f'{name} is not a file')
        return member

    return open_member


def _from_members(file: Path, names: list[str], open_member: _Open, folder: Path) -> Model:
    """Take what the manifest names, and nothing else, out of an archive."""
    manifests = [name for name in names if PurePosixPath(name).name == MANIFEST_NAME]
    if len(manifests) != 1:
        raise ModelError(f'the archive {file.name} holds {len(manifests)} files {MANIFEST_NAME} '
                         'instead of one; pack the folder of one model')
    text = file.with_name(f'{file.name}.{MANIFEST_NAME}')
    try:
        _copy(open_member, manifests[0], text)
        manifest = read_manifest(text)
        staging = _staging_folder(manifest, folder)
        text.replace(staging / MANIFEST_NAME)
    finally:
        text.unlink(missing_ok=True)
    inside = PurePosixPath(manifests[0]).parent
    for entry in manifest.files.values():
        member = str(inside / entry.path)
        if member not in names:
            raise ModelError(f'the archive {file.name} lacks {member}, which its {MANIFEST_NAME} '
                             'lists; pack the whole folder of the model')
        _copy(open_member, member, staging / entry.path)
    return _publish(manifest, staging, folder)


def _copy(open_member: _Open, name: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_member(name) as source, path.open('wb') as target:
        shutil.copyfileobj(source, target)


def _staging_folder(manifest: ModelManifest, folder: Path) -> Path:
    """Return the folder in which a model is put together."""
    if PurePosixPath(manifest.name).parts != (manifest.name,) or manifest.name == '..':
        raise ModelError(f'the manifest names its model {manifest.name!r}, which cannot be the '
                         "name of a folder; correct the manifest's name")
    return unfinished_folder(folder / manifest.name)


def _publish(manifest: ModelManifest, staging: Path, folder: Path) -> Model:
    """Give a complete model its name if every file is right, else throw the wrong ones away."""
    for role in manifest.files:
        _check(Model(manifest, staging), role)
    finish_folder(folder / manifest.name)
    return Model(manifest, folder / manifest.name)


def _check(model: Model, role: str) -> None:
    """Refuse a model one of whose files is wrong, and throw that file away."""
    try:
        model.file(role)
    except ModelError:
        (model.folder / model.manifest.files[role].path).unlink(missing_ok=True)
        raise
