from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from shared.units.context import UnitContext
from shared.units.needs import UnitNeeds
from shared.units.plan import Found
from shared.units.render import UnitSet, unit_set
from shared.units.standing import Standing, options_of, standing_of

NEEDS = UnitNeeds("watcher", "jobs", 1, writes=(PurePosixPath("/srv/x"),), several=True)


def found(made: UnitSet) -> Found:
    """Return a machine on which these units stand."""
    return Found({file.name: file.text for file in made.files}, enabled=made.units)


@pytest.mark.parametrize(
    ("standing", "options"),
    [
        (Standing(), ""),
        (Standing("ada"), "--run-as ada"),
        (
            Standing(groups=("colony", "prod"), instances=12),
            "--group colony --group prod --instances 12",
        ),
        (
            Standing("ada", base=PurePosixPath("/home/ada/100 % of it")),
            "--run-as ada --working-directory '/home/ada/100 % of it'",
        ),
    ],
)
def test_what_was_installed_is_read_back_as_it_was_said(standing: Standing, options: str) -> None:
    """`units install` is repeated at every upgrade, by people who said the options long ago."""
    context = UnitContext(
        user=standing.user or "towpath",
        groups=standing.groups,
        base=standing.base,
        instances=standing.instances,
    )

    assert standing_of("watcher", found(unit_set(NEEDS, context))) == standing
    assert options_of(standing) == options


def test_units_of_ones_own_have_no_user_to_keep() -> None:
    """With --user there is only oneself."""
    base = PurePosixPath("/home/ada")
    context = UnitContext(user="", base=base)

    assert standing_of("watcher", found(unit_set(NEEDS, context))) == Standing(base=base)


def test_what_is_not_there_or_not_ours_says_nothing() -> None:
    """A drop-in that somebody wrote applies by itself, and is not ours to repeat."""
    name = PurePosixPath("towpath-watcher.service.d/needs.conf")

    assert standing_of("watcher", Found({name: "[Service]\nUser=root\n"})) == Standing()
    assert standing_of("uploader", found(unit_set(NEEDS, UnitContext(user="ada")))) == Standing()


def test_a_template_without_instances_does_not_tell_their_number() -> None:
    """One alone would compute in another state folder than any of them did."""
    several = found(unit_set(NEEDS, UnitContext(instances=4)))

    for left in ([], ["towpath-watcher@1.service", "towpath-uploader@3.service"]):
        assert standing_of("watcher", replace(several, enabled=left)).uncounted
    assert not standing_of("watcher", several).uncounted
