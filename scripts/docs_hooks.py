"""mkdocs: files at the root of the repository are pages too, and their links lead where the pages are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = ("SECURITY.md", "THREAT_MODEL.md", "SOUNDNESS.md", "CHANGELOG.md", "CONTRIBUTING.md", "zkcore/DECISIONS.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name in PAGES:
        content = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, Path(name).name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files, **_: Any) -> str:
    for name in PAGES:
        markdown = markdown.replace(f"](../{name}", f"]({Path(name).name}")
    return markdown.replace("](docs/", "](") if page.file.src_path in {Path(n).name for n in PAGES} else markdown
