"""Which namespaces a selection means, and which it must not."""

import pytest

from sretool.knowledge.namespaces import Namespace, choose_namespaces, parse_label_selector, parse_selection

NAMESPACES = [
    Namespace(name="default"),
    Namespace(name="kube-node-lease"),
    Namespace(name="kube-public"),
    Namespace(name="kube-system", labels={"tier": "batch"}),
    Namespace(name="leaving", labels={"tier": "batch"}, terminating=True),
    Namespace(name="shop", labels={"tier": "web"}),
    Namespace(name="team-a", labels={"tier": "batch"}),
    Namespace(name="team-b", labels={"tier": "batch", "exempt": ""}),
]


def choose(namespaces="", labels="", everywhere=False):
    return choose_namespaces(NAMESPACES, parse_selection(namespaces, labels=labels, everywhere=everywhere))


@pytest.mark.parametrize(
    ("namespaces", "labels", "names"),
    [
        ("team-*", "", ("team-a", "team-b")),
        ("team-?, shop", "tier=batch", ("team-a", "team-b")),
        ("team-a,default", "", ("default", "team-a")),
        ("shop,team-a,team-b", "", ("shop", "team-a", "team-b")),  # all of them, but each by its name
        ("", "tier=batch", ("team-a", "team-b")),
        ("", "tier==batch,!exempt", ("team-a",)),
        ("", "tier in (batch,web),exempt", ("team-b",)),
        ("", "tier notin (batch)", ("shop",)),
        ("*", "tier!=batch", ("shop",)),
    ],
)
def test_names_globs_and_labels_choose(namespaces, labels, names):
    choice = choose(namespaces, labels)
    assert (choice.names, choice.refusal) == (names, "")


@pytest.mark.parametrize(
    ("namespaces", "labels", "why"),
    [
        ("nobody-*", "", "matches none of 3 namespaces"),
        ("", "tier=db", "matches none of 3 namespaces"),
        ("def*", "", "matches none of 3"),  # default only by its name
        ("", "tier", "matches every one of 3 namespaces"),
        ("*,shop", "tier", "matches every one of 3 namespaces"),
        ("team-a,team-z", "", "there is no namespace team-z"),
        ("kube-system", "", "kube-system is a system namespace"),
        ("leaving", "", "matches none"),
    ],
)
def test_nothing_everything_and_system_namespaces_are_refused(namespaces, labels, why):
    choice = choose(namespaces, labels)
    assert choice.names == ()
    assert why in choice.refusal


def test_everywhere_means_every_namespace_but_system_ones_and_default():
    assert choose(everywhere=True).names == ("shop", "team-a", "team-b")
    assert choose("*", everywhere=True).names == ("shop", "team-a", "team-b")


@pytest.mark.parametrize("text", ["*", "**", "a,*", "Team", "a_b", "-a", "a" * 64, "a/b", "[ab]"])
def test_malformed_patterns_and_the_bare_star_are_errors(text):
    with pytest.raises(ValueError, match="namespace"):
        parse_selection(text, labels="", everywhere=False)


@pytest.mark.parametrize("text", ["a=", "a,b", "x.io/a = b", "a in (b,c),d", "!a"])
def test_kubectls_label_selectors_are_understood(text):
    assert parse_label_selector(text)


@pytest.mark.parametrize(
    "text", ["=a", "a=b c", "a>1", "a in b", "a in ()", ",", "a=b,", "a in (b", "!a=b", "a=$"]
)
def test_malformed_label_selectors_are_errors(text):
    with pytest.raises(ValueError, match="is no label selector"):
        parse_label_selector(text)
