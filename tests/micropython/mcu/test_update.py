"""Updates on a LittleFS: what is taken and refused, the trial, and the power cut in the middle of every write."""

import os

from flash import Flash, Mounted
from updatedesk import Service, boot, code, install, manifest, put, whole

import laclet_slots
from laclet_mcu.trial import Trial
from laclet_mcu.update import Refused, Update

KEY = b"correct horse battery staple"


def refused(call, *arguments):
    """The words of a refusal."""
    try:
        call(*arguments)
    except Refused as error:
        text = str(error)
        assert "; " in text and "\n" not in text, text
        return text
    raise AssertionError("it was taken")


class Board(Mounted):
    """A board as delivered; ``with`` gives the root of its file system."""

    def __init__(self, blocks):
        super().__init__(Flash(blocks))

    def __enter__(self):
        root = super().__enter__()
        assert boot(root) == ""
        return root


def test_an_update_is_tried_and_becomes_good():
    with Board(64) as root:
        assert boot(root) == "" and laclet_slots.trial is None
        update = Update(root=root)
        assert install(update, code(1), manifest(code(1))) == sorted(code(1))
        assert boot(root) == "", "nothing before the commit"
        assert update.commit() == "1"
        refused(update.put, "manifest", 0, b"x")
        assert boot(root) == "a" and whole(root, "a") == 1
        assert "on trial" in refused(Update(root=root).put, "manifest", 0, b"x")
        service = Service()
        trial = Trial(service, laclet_slots.trial, root)
        assert not trial.looked(False, 1000)
        assert trial.looked(True, 60_000) and not trial.failed and service.said == [("info", "the update is good")]
        assert laclet_slots.read(root) == {"good": "a"} and boot(root) == "a"
        # The next goes to the other slot; what is the same is copied.
        update = Update(root=root)
        assert "laclet/same.mpy" not in install(update, code(2), manifest(code(2), "2"))
        update.commit()
        assert boot(root) == "b" and whole(root, "b") == 2 and whole(root, "a") == 1
        status = Update(root=root).status()
        assert (status["running"], status["version"], status["good"], status["trial"]) == ("b", "2", "a", "b")
        assert status["left"] == 2 and status["arch"] == "x64" and status["free"] > 0


def test_a_trial_that_never_ends_well_goes_back():
    with Board(64) as root:
        update = Update(root=root)
        install(update, code(1), manifest(code(1)))
        update.commit()
        assert [boot(root) for _ in range(5)] == ["a", "a", "a", "", ""]
        assert laclet_slots.read(root) == {"good": "", "failed": "a"}
        assert boot(root) == "" and update.commit() == "1", "it may be tried once more"
        assert boot(root) == "a"


def test_a_trial_waits_for_a_tunnel_when_there_was_one():
    with Board(64) as root:
        update = Update(root=root)
        install(update, code(1), manifest(code(1)))
        for works in (False, True):
            update.commit(True)
            assert boot(root) == "a"
            service = Service()
            service.dialers["a"].up = False
            trial = Trial(service, laclet_slots.trial, root)
            assert not trial.looked(True, 60_000)
            if works:
                service.dialers["a"].up = True
                assert not trial.looked(False, 61_000), "seen"
                service.dialers["a"].up = False
            assert trial.looked(True, 600_000) and trial.failed is not works
            assert boot(root) == ("a" if works else "")


def test_bad_manifests_are_refused_with_their_line():
    files = code(1)
    good = manifest(files)
    lines = good.split(b"\n")
    for text, words in (
        (b"", "no manifest"),
        (b"#!/bin/sh\n", "line 1"),
        (good[:-1], "line 5"),
        (good.replace(b"mpy ", b"mpy 1"), "this board wants mpy"),
        (lines[0] + b"\n" + lines[1] + b"\n", "names 0 files"),
        (good.replace(b"laclet/same", b"laclet/../same"), "line 3"),
        (good.replace(b"laclet/same", b"/laclet/same"), "line 3"),
        (good.replace(b"laclet/same.mpy", b"laclet/same.txt"), "line 3"),
        (good.replace(b"  laclet", b" laclet"), "line 3"),
        (good.replace(b"laclet/same", b"l" * 200), "line 3"),
        (good.replace(b"laclet/same", b"laclet/\xff\xfe"), "line 3"),
        (good + b"# hmac 00\nmore\n", "line 7"),
        (b"# laclet \xff\n" + good, "line 1"),
    ):
        with Board(64) as root:
            update = Update(root=root)
            if text:
                put(update, "manifest", text)
            assert words in refused(update.want), text
            assert words in refused(update.commit)
            assert boot(root) == ""


def test_only_who_has_the_key_makes_updates():
    with Board(64) as root:
        for text in (manifest(code(1)), manifest(code(1), key=b"other"), manifest(code(1), key=KEY) + b"\n"):
            update = Update(KEY, root)
            put(update, "manifest", text)
            refused(update.want)
        update = Update(KEY, root)
        assert update.status()["key"]
        install(update, code(1), manifest(code(1), key=KEY))
        update.commit()
        assert boot(root) == "a"


def test_what_is_put_wrongly_is_refused():
    files = code(1)
    with Board(64) as root:
        update = Update(root=root)
        assert "manifest first" in refused(update.put, "laclet/same.mpy", 0, b"x")
        put(update, "manifest", manifest(files))
        for path in ("../config.json", "/config.json", "laclet/same.mpy/x.mpy/..", "", "laclet//same.mpy", "x\xff.mpy"):
            assert "is no path" in refused(update.put, path, 0, b"x")
        assert "not in the manifest" in refused(update.put, "laclet/else.mpy", 0, b"x")
        assert "not begun" in refused(update.put, "laclet/same.mpy", 100, b"x")
        update.put("laclet/same.mpy", 0, b"s" * 100)
        assert "ends at 100, not at 101" in refused(update.put, "laclet/same.mpy", 101, b"x")
        assert update.put("laclet/same.mpy", 0, b"s" * 100) == 100, "begun anew"
        assert update.put("laclet/same.mpy", 100, b"s" * 100) == 200
        assert update.put("laclet/same.mpy", 100, b"s" * 100) == 200, "said again"
        assert "laclet/same.mpy" in update.want(), "it is not complete"
        assert "laclet/same.mpy is missing" in refused(update.commit)
        update.put("laclet/same.mpy", 0, b"x" * 300)
        assert "laclet/same.mpy" in update.want(), "it is something else"
        install(update, files, manifest(files))
        assert update.abort() == "a"
        assert "no manifest" in refused(update.commit)
        install(update, files, manifest(files))
        assert update.begin() == "a" and "a" not in os.listdir(root)


def test_a_full_file_system_is_told():
    files = {"laclet/large.mpy": bytes(20_000)}
    with Board(24) as root:
        update = Update(root=root)
        put(update, "manifest", manifest(files))
        assert "is there room?" in refused(put, update, "laclet/large.mpy", files["laclet/large.mpy"])
        update.begin()
        install(update, code(1), manifest(code(1)))
        assert update.commit() == "1"


def test_a_slot_for_another_micropython_is_not_run():
    with Board(64) as root:
        update = Update(root=root)
        install(update, code(1), manifest(code(1)))
        update.commit()
        assert boot(root) == "a"
        Trial(Service(), laclet_slots.trial, root).looked(True, 60_000)
        with open(root + "a/manifest", "wb") as file:
            file.write(manifest(code(1), mpy=1))
        assert boot(root) == "", "the factory's code"
        assert install(Update(root=root), code(2), manifest(code(2))) == sorted(code(2))


def test_nonsense_for_a_state_is_the_code_of_the_factory():
    for text in ("", "[]", "{}", '{"good": "c"}', '{"good": "a", "trial": "b"}', '{"good": "a"}', '{"good":', "7"):
        with Board(32) as root:
            with open(root + "slots.json", "w") as file:
                file.write(text)
            assert boot(root) == "" and laclet_slots.trial is None


def with_versions():
    """A flash where version 1 is good in slot a, and 2 in slot b was before."""
    flash = Flash(64)
    with Mounted(flash) as root:
        for number in (2, 0, 1):
            boot(root)
            update = Update(root=root)
            install(update, code(number), manifest(code(number), str(number)))
            update.commit()
            boot(root)
            Trial(Service(), laclet_slots.trial, root).looked(True, 60_000)
    return flash


def good(root):
    """What a good boot finds, and whether it is on trial; then the trial goes well."""
    found = whole(root, boot(root)), laclet_slots.trial is not None
    if found[1]:
        Trial(Service(), laclet_slots.trial, root).looked(True, 60_000)
    return found


def test_power_cut_at_every_write_of_an_update():
    """Before the commit the old code runs, after it the new; and after every cut the update can be made after all."""
    flash = with_versions()
    image = bytes(flash.data)
    files, text = code(3), manifest(code(3), "3")

    def change(root):
        boot(root)
        update = Update(root=root)
        install(update, files, text)
        update.commit()
        boot(root)  # counts the attempt
        if laclet_slots.trial is None:
            raise OSError("the power is off")
        Trial(Service(), laclet_slots.trial, root).looked(True, 60_000)

    with Mounted(flash) as root:
        change(root)
        total = flash.writes
    seen = []
    for cut in range(1, total + 1):
        flash.data[:] = image
        try:
            with Mounted(flash, cut) as root:
                change(root)
        except (OSError, Refused):
            pass
        with Mounted(flash) as root:
            version, tried = good(root)
            assert version == (3 if tried or 3 in seen else 1), cut
            assert good(root) == (version, False), "it stays so"
            if cut % 4 == 0:
                change(root)
                assert good(root) == (3, False)
        seen.append(version)
    assert seen == sorted(seen) and set(seen) == {1, 3}
