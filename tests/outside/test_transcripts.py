"""Plays the conversations of transcripts/ against the server; transcript.py says how they are written."""

import pathlib

import pytest

import transcript

FOLDER = pathlib.Path(__file__).parent / "transcripts"


def sections():
    found = []
    for path in sorted(FOLDER.glob("*.txt")):
        for section in transcript.read(path):
            marks = []
            if "since" in section.flags:
                marks.append(pytest.mark.since(section.flags["since"]))
            if "ours" in section.flags:
                marks.append(pytest.mark.ours(section.flags["ours"]))
            found.append(pytest.param(section, id=f"{path.stem}: {section.title}, resp{section.protocol}", marks=marks))
    return found


@pytest.mark.parametrize("section", sections())
def test_transcript(section, server):
    transcript.play(section, server)
