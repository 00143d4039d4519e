"""What a turn's replies must be, whatever they say."""

from collections.abc import Sequence

from vonad.backend import Reply, ReplyDone, ReplyFailed, ReplyText, SkillRequest
from vonad.frame import Frame
from vonad.testing.checks.promise import promise
from vonad.testing.checks.talk import Talk


async def check_text(side: Talk, text: str, *, aloud: bool = True, ending: str = "") -> None:
    turn = await side.begin()
    await side.say(text)
    replies = await side.over(turn, "a text that it understands")
    check_reply(replies, aloud=aloud, ending=ending)


def check_reply(replies: Sequence[Reply], *, aloud: bool = True, ending: str = "") -> None:
    """A turn's replies, the last of which ends it."""
    for failed in (reply for reply in replies if isinstance(reply, ReplyFailed)):
        raise AssertionError(f"a text that it understands is answered: got {failed.error.code}: {failed.error.message}")
    *body, done = replies
    promise(isinstance(done, ReplyDone), f"nothing of a turn comes after its ReplyDone: got {done}")
    promise(
        isinstance(done, ReplyDone) and done.understood, "ReplyDone says that a text that is answered is understood"
    )
    spoken = False
    for reply in body:
        if isinstance(reply, ReplyText):
            spoken = True
            promise(reply.text.endswith(ending), f"every sentence passes through Brief.rewrite: {reply.text!r} did not")
        if isinstance(reply, Frame):
            promise(aloud, "a session of text (Brief.aloud is false) wants none of the sound")
            promise(spoken or reply.filler, "the frames of a sentence follow its ReplyText: one came before")
        if isinstance(reply, SkillRequest):
            promise(not reply.early, "a SkillRequest is early only in an answer that was prepared")
    promise(spoken, f"a text that it understands gets a ReplyText: got {replies}")
    sounds = any(isinstance(reply, Frame) for reply in body)
    promise(sounds or not aloud, "a reply is spoken where Brief.aloud says so: it had no sound")
