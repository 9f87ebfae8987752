"""Do the files around the code agree with each other: versions, authors, Python versions, commands?"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trove_classifiers
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import simulator

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def document(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def locked(package: str) -> str:
    """The version of a package in the lock file."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(package)}==(\S+)", lock, re.MULTILINE)
    assert found, package
    return found[1]


def classified_pythons() -> list[str]:
    prefix = "Programming Language :: Python :: 3."
    return ["3." + line.removeprefix(prefix) for line in PROJECT["classifiers"] if line.startswith(prefix)]


def test_checks_before_a_commit_have_the_versions_of_the_lock() -> None:
    ruff, local = document(".pre-commit-config.yaml")["repos"]
    assert ruff["rev"] == f"v{locked('ruff')}"
    assert [hook["id"] for hook in ruff["hooks"]] == ["ruff-check", "ruff-format"]
    assert [hook["name"] for hook in local["hooks"]] == [
        f"{tool} {locked(tool)}" for tool in ("mypy", "import-linter")
    ]


def test_checks_before_a_commit_are_those_of_make_lint() -> None:
    recipe = re.search(
        r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert recipe
    commands = re.findall(r"\$\(BIN\)/(\S+)", recipe[1])
    ruff, local = document(".pre-commit-config.yaml")["repos"]
    hooks = [hook["id"].partition("-")[0] for hook in ruff["hooks"]]
    hooks += [hook["entry"].rpartition("/")[2] for hook in local["hooks"]]
    assert hooks == commands


def test_the_workflow_runs_the_test_command_of_the_readme_on_every_python() -> None:
    job = document(".github/workflows/tests.yml")["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == classified_pythons() == ["3.11", "3.12", "3.13"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["make test PYTHON=python"]
    assert "\n$ make test " in (ROOT / "README.md").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == ">=3.11"


def test_the_workflow_that_publishes_tries_the_wheel_on_every_python_before() -> None:
    jobs = document(".github/workflows/publish.yml")["jobs"]
    assert jobs["try"]["strategy"]["matrix"]["python"] == classified_pythons()
    assert (jobs["try"]["needs"], jobs["publish"]["needs"]) == ("build", "try")
    assert jobs["publish"]["if"] == "startsWith(github.ref, 'refs/tags/v')"
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    modules = {name for command in commands for name in re.findall(r"-m (tools\.\w+)", command)}
    assert modules == {"tools.index_readme", "tools.check_release"}
    for name in modules:
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file()


def test_the_project_says_what_it_is_and_names_no_host_that_is_not_its_own() -> None:
    assert len(set(PROJECT["keywords"])) == len(PROJECT["keywords"]) >= 10
    assert set(PROJECT["classifiers"]) <= set(trove_classifiers.classifiers)
    assert "urls" not in PROJECT  # until the repository has a public address
    assert PROJECT["readme"] == "README.md"


def test_pytorch_is_pinned_beside_the_lock_without_packages_of_a_gpu() -> None:
    lines = (ROOT / "requirements-torch.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    lock = re.findall(
        r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert not {name.replace("_", "-") for name in pins} & {name.replace("_", "-") for name in lock}
    for requirement in PROJECT["optional-dependencies"]["torch"]:
        name, least = requirement.split(">=")
        assert tuple(map(int, pins[name].split("."))) >= tuple(map(int, least.split(".")))
    assert not [name for name in (*pins, *lock) if re.search("nvidia|cuda|triton", name)]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--requirement requirements.lock\n" in makefile
    assert "--requirement requirements-torch.txt\n" in makefile


def pins(file: str) -> list[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def needed_by(requirements: Iterable[str]) -> set[str]:
    """The packages that requirements bring here, by what the installed packages say of themselves."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += [Requirement(text) for text in importlib.metadata.requires(name) or ()]
    return found


def test_the_demo_installs_what_a_user_needs_and_nothing_else() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    here = [Requirement(line) for line in pins("requirements-user.lock")]
    installed = {canonicalize_name(pin.name) for pin in here if pin.marker is None or pin.marker.evaluate()}
    assert installed == needed_by([*PROJECT["dependencies"], *groups["install"]])
    assert set(groups["install"]) <= set(groups["dev"])


def test_a_user_gets_the_versions_that_the_tests_run_with() -> None:
    developers = {line.partition(" ;")[0] for line in pins("requirements.lock")}
    users = {line.partition(" ;")[0] for line in pins("requirements-user.lock")}
    assert users < developers


def test_the_demo_needs_the_list_of_users_and_the_tests_that_of_developers() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    needs = dict(re.findall(r"^(\S+): (.*)$", makefile, re.MULTILINE))
    assert needs["demo"] == "$(BASE)"
    assert needs["$(BASE)"].split() == ["requirements-user.lock", "pyproject.toml"]
    assert needs["$(STAMP)"].split() == ["requirements.lock", "$(BASE)"]
    assert needs["test"] == "lint $(TORCH)"


def test_the_citation_names_the_version_authors_and_licence_of_the_package() -> None:
    citation = document("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert str(citation["version"]) == simulator.__version__
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    assert citation["license"] == PROJECT["license"]
    assert {"message", "title", "type"} <= set(citation)


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_a_form_for_issues_asks_for_what_is_needed(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    identifiers = [field["id"] for field in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_make_targets_that_pages_name_exist() -> None:
    targets = set(
        re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    named = {
        target
        for page in pages
        for target in re.findall(
            r"(?:^\$ |`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert {"test", "coverage", "mutants", "docs"} <= named
    assert named <= targets


def test_the_changelog_has_no_marks_of_a_merge_and_says_nothing_twice() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.match(r"<{7} |={7}$|>{7} ", line)] == []
    items = [line for line in lines if line.startswith("- ")]
    assert len(items) == len(set(items))
