"""Where templates may come from: allowed places in a plain form, and nothing that makes git run something."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaffolder.errors import HostUnavailable, TemplateRefused
from scaffolder.sources import SourcePolicy, TemplateCache, check_tree, versions
from tests.scaffolder.template_repositories import git, make_template

KNOWN = "https://templates.example.org/batch.git"
POLICY = SourcePolicy(frozenset({KNOWN}), frozenset({"git.example.org", "git.example.org:8443"}), ())


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        (KNOWN, "https"),
        ("https://git.example.org/a/b.git", "https"),
        ("https://git.example.org:8443/a/b.git", "https"),
        ("ssh://git@git.example.org/a/b.git", "ssh"),
        ("git@git.example.org:a/b.git", "ssh"),
    ],
)
def test_allowed_places(url: str, protocol: str) -> None:
    assert POLICY.protocol(url) == protocol


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/owned",
        "ext::sh",
        "fd::17",
        "https::https://git.example.org/a",
        "--upload-pack=touch /tmp/owned",
        "-oProxyCommand=touch",
        "ssh://-oProxyCommand=touch/a",
        "ssh://git@-oProxyCommand=touch/a",
        "-oProxyCommand=x@git.example.org:a",
        "git@git.example.org:-a",
        "file:///etc",
        "/etc",
        "/srv/../etc",
        "git://git.example.org/a",
        "ftp://git.example.org/a",
        "https://elsewhere.example.org/a",
        "https://git.example.org@elsewhere.example.org/a",
        "https://ada:secret@git.example.org/a",
        "https://git.example.org/a\nb",
        "https://git.example.org/a b",
        "https://git.example.org/\u202ea",
        "https://git.example.org.evil.org/a",
        "evil.org:git.example.org/a",
        "relative/folder",
        "",
        "https://git.example.org/" + "x" * 600,
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(TemplateRefused) as refused:
        POLICY.protocol(url)
    assert refused.value.fix
    assert "secret" not in refused.value.message
    assert len(refused.value.message) < 400


@given(st.text(max_size=80))
def test_no_text_gets_through_by_chance(text: str) -> None:
    try:
        protocol = POLICY.protocol(text)
    except TemplateRefused:
        return
    assert protocol in {"https", "http", "ssh"}
    assert "git.example.org" in text.lower()


def test_folders_below_a_root_are_allowed_and_links_out_of_it_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (root / "leak").symlink_to("/etc")
    policy = SourcePolicy(roots=[root])
    assert policy.protocol(str(root / "inside")) == "file"
    assert policy.protocol(f"file://{root}/inside") == "file"
    for path in (root / "leak", root / ".." / "other", Path("/etc")):
        with pytest.raises(TemplateRefused, match="no allowed folder"):
            policy.protocol(str(path))


def test_versions_are_tags_that_read_as_versions() -> None:
    tags = ["v1.10.0", "v1.9.0", "latest", "v1.9.0.post1", "release/2.0", "v2.0.0rc1", "w3"]
    assert versions(tags, "v*") == ["v1.9.0", "v1.9.0.post1", "v1.10.0", "v2.0.0rc1"]
    assert versions(tags, "release/*") == ["release/2.0"]


class TestFetching:
    @pytest.fixture
    def cache(self, tmp_path: Path) -> TemplateCache:
        return TemplateCache(tmp_path / "cache", SourcePolicy(roots=[tmp_path]))

    def test_the_newest_version_or_the_one_of_a_tag(self, cache: TemplateCache, tmp_path: Path) -> None:
        folder = tmp_path / "template"
        make_template(folder, {"copier.yml": "a: {type: str}\n"}, tag="v1.0.0")
        assert cache.release(str(folder)).tag == "v1.0.0"
        make_template(folder, {"copier.yml": "b: {type: str}\n"}, tag="v1.1.0")
        newest = cache.release(str(folder))
        assert (newest.tag, newest.url) == ("v1.1.0", str(folder))
        assert cache.release(str(folder), tag="v1.0.0").tag == "v1.0.0"
        assert cache.versions(str(folder)) == ["v1.0.0", "v1.1.0"]
        with pytest.raises(TemplateRefused, match=r"no version 'v7'; the newest one is v1\.1\.0"):
            cache.release(str(folder), tag="v7")
        with pytest.raises(TemplateRefused, match="no tag matches"):
            cache.release(str(folder), pattern="x*")

    def test_what_is_not_there(self, cache: TemplateCache, tmp_path: Path) -> None:
        with pytest.raises(HostUnavailable, match="can't be fetched"):
            cache.release(str(tmp_path / "nowhere"))

    def test_nothing_of_a_hostile_repository_runs(self, cache: TemplateCache, tmp_path: Path) -> None:
        folder, owned = tmp_path / "template", tmp_path / "owned"
        make_template(folder, {"copier.yml": "a: {type: str}\n"})
        git(folder, "config", "core.fsmonitor", f"touch {owned}")
        git(folder, "config", "uploadpack.packObjectsHook", f"touch {owned}")
        hook = folder / ".git" / "hooks" / "post-checkout"
        hook.write_text(f"#!/bin/sh\ntouch {owned}\n")
        hook.chmod(0o755)
        cache.release(str(folder))
        assert not owned.exists()

    def test_submodules_and_links_out_are_seen_before_a_checkout(self, cache: TemplateCache, tmp_path: Path) -> None:
        leaking = make_template(tmp_path / "leaking", {"copier.yml": "{}"}, links={"leak": "../../etc/passwd"})
        with pytest.raises(TemplateRefused, match="link that leaves it: 'leak'"):
            cache.release(str(leaking.repository))
        fine = make_template(tmp_path / "fine", {"copier.yml": "{}", "a/b": "x"}, links={"link": "a/../a/b"})
        check_tree(fine)
        folder = make_template(tmp_path / "sub", {"copier.yml": "{}"}).repository
        git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
        git(folder, "commit", "--quiet", "--message", "sub")
        git(folder, "tag", "v2.0.0")
        with pytest.raises(TemplateRefused, match="submodules"):
            cache.release(str(folder))
