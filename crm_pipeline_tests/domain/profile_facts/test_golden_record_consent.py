"""Consent, which only its contacts can give, and the current tags of a profile."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import ANN, AS_OF, Scene, thorough

CHANNELS = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
contacts = st.lists(st.tuples(*[st.booleans()] * len(CHANNELS)), max_size=3)


@thorough(8)
@given(st.lists(contacts, min_size=4, max_size=20))
def test_a_flag_is_true_iff_there_is_a_contact_and_all_contacts_say_so(people: list[list[tuple[bool, ...]]]) -> None:
    scene = Scene()
    for name, answers in enumerate(people):
        scene.add(teetime.player, str(name))
        for number, answer in enumerate(answers):
            said = dict(zip(CHANNELS, answer, strict=True))
            scene.add(messaging.contact, str(name), id=f"{name}-{number}", **said)
    profiles = scene.refresh().profiles
    for name, answers in enumerate(people):
        agreed = tuple(bool(answers) and all(said) for said in zip(*answers, strict=True)) or (False,) * 4
        assert tuple(profiles[str(name)][channel] for channel in CHANNELS) == agreed


def test_nobody_but_a_contact_can_agree() -> None:
    scene = Scene()
    for table in (scl.member, teetime.player, crm.lead):
        scene.add(table)
    assert not any(scene.profile()[channel] for channel in CHANNELS)


def test_a_second_contact_can_only_take_a_consent_away() -> None:
    scene = Scene()
    for channel in CHANNELS:
        scene.add(messaging.contact, channel, id=f"{channel} 1", **dict.fromkeys(CHANNELS, True))
    assert all(profile[channel] for profile in scene.refresh().profiles.values() for channel in CHANNELS)
    for channel in CHANNELS:
        said = dict.fromkeys(CHANNELS, True) | {channel: False}
        scene.add(messaging.contact, channel, id=f"{channel} 2", **said)
    for channel, profile in scene.refresh().profiles.items():
        assert [other for other in CHANNELS if not profile[other]] == [channel]


def test_tags_are_those_it_has_now_sorted_and_once_each() -> None:
    scene = Scene()
    scene.redirect("old", ANN)
    scene.add(teetime.player)
    now, soon, later = AS_OF, AS_OF + timedelta(minutes=5), AS_OF + timedelta(minutes=6)
    scene.add(crm.profile_tag, tag="vip")
    scene.add(crm.profile_tag, tag="vip")
    scene.add(crm.profile_tag, tag="committee", profile_id="old")
    scene.add(crm.profile_tag, tag="added this moment", added_at=now)
    scene.add(crm.profile_tag, tag="clock a little fast", added_at=soon)
    scene.add(crm.profile_tag, tag="not yet", added_at=later)
    scene.add(crm.profile_tag, tag="off", removed_at=now)
    scene.add(crm.profile_tag, tag="off, clock a little fast", removed_at=soon)
    scene.add(crm.profile_tag, tag="off later", removed_at=later)
    assert scene.profile()["tags"] == ["added this moment", "clock a little fast", "committee", "off later", "vip"]


def test_nobodys_tags_are_an_empty_list() -> None:
    scene = Scene()
    scene.add(teetime.player)
    assert scene.profile()["tags"] == []
