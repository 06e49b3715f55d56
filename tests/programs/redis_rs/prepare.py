"""Puts the sources of redis-rs, with its tests, into a workspace that can build them.

    prepare.py FOLDER

What is published of redis-rs lacks two crates that its tests need: redis-test, which is published by
itself, and a macro, for which async_test is the substitute.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

VERSION, TEST_VERSION = "1.8.1", "1.0.4"
FETCHED = """\
[package]
name = "fetched"
version = "0.0.0"
edition = "2024"

[lib]
path = "lib.rs"

[dependencies]
redis = "={}"
redis-test = "={}"

[workspace]
"""


def fetch(folder: pathlib.Path) -> pathlib.Path:
    """Has cargo fetch both crates. Returns where it keeps their sources."""
    folder.mkdir()
    (folder / "Cargo.toml").write_text(FETCHED.format(VERSION, TEST_VERSION))
    (folder / "lib.rs").touch()
    subprocess.run(["cargo", "fetch", "--quiet"], cwd=folder, check=True)
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    [source] = (home / "registry" / "src").glob(f"*/redis-{VERSION}")
    return source


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    shutil.copytree(pathlib.Path(__file__).parent, folder, dirs_exist_ok=True)
    shutil.copytree(fetch(folder / "fetched"), folder / "redis")
    shutil.move(folder / "redis" / "Cargo.lock", folder / "Cargo.lock")
    shutil.rmtree(folder / "fetched")
    manifest = (folder / "redis" / "Cargo.toml").read_text()
    # The benchmarks' framework takes as long to build as all the rest.
    manifest = re.sub(r"\[\[bench\]\]\n(.+\n)+", "", manifest)
    manifest = re.sub(r"\[dev-dependencies\.criterion\]\n(.+\n)+", "", manifest)
    # Without rustls's other provider of cryptography, which needs minutes and is not used.
    manifest = re.sub(r"(\[dev-dependencies\.rustls\]\n)", r"\1default-features = false\n", manifest)
    manifest += f'\n[dev-dependencies.redis-test]\nversion = "={TEST_VERSION}"\n'
    manifest += '\n[dev-dependencies.test-macros]\npath = "../async_test"\n'
    (folder / "redis" / "Cargo.toml").write_text(manifest)


if __name__ == "__main__":
    main()
