"""The patterns behind :func:`redact`.

Each is written so that hostile text costs linear time: a match can only start where a token starts (lookbehind), runs are
possessive or bounded, and what was opened and never closed is consumed to its end instead of being tried again. The
property tests hold it to that.
"""

import re
from collections.abc import Callable

from mlplatform.redaction.checksums import IBAN_LENGTHS, card_valid, iban_valid
from mlplatform.redaction.normal import encoded_in, normal

_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

_URL_USERINFO = re.compile(r"(://)[^\s/?#\"'<>\[\]]+@")
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]{2,}+\.[\w-]*+")
_AUTHORIZATION = re.compile(
    r"(?i)((?<![a-z])(?:proxy-)?authorization[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?)(?!\[REDACTED:)"
    r"(?:[a-z][\w-]{0,30}[ \t]{1,8}(?!\[REDACTED:))?[^\s\"',;\[\]]++"
)
_BEARER = re.compile(r"(?i)((?<![\w-])bearer[ \t]{1,8})[\w.~+/=-]{8,}+")
_SECRET_WORDS = (
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "credential",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "api key",
    "access_key",
    "access-key",
    "accesskey",
    "private_key",
    "private-key",
    "privatekey",
)
_SECRET = re.compile(
    r"(?i)((?:password|passwd|passphrase|pwd|secret|credential|api[_ -]?key|access[_-]?key|private[_-]?key)"
    r"s?(?:[_.-][\w.-]{1,40}+)?"
    r"|token)"
    r"([\"']?\s{0,8}+(?>=>|:=|[=:])\s{0,8}+)"
    r"(?:\"(?:[^\"\\\n]|\\.)++\"?|'(?:[^'\\\n]|\\.)++'?"
    # A comma or semicolon belongs to the value unless a blank or the next `name=` follows it.
    r"|(?:[^\s,;&\"'\[\](){}<>]|[,;](?![\w.-]{0,30}[=:\"'])(?=[^\s,;&\"'\[\](){}<>]))++)"
)
_SECRET_NAME = re.compile(
    r"(?i)(?:password|passwd|passphrase|secret|credential|api[_ -]?key|access[_-]?key|private[_-]?key)s?(?:[_.-]|$)"
    r"|(?:token|authorization|(?<![a-z])pwd|(?<![a-z])cookie)$"
)
_API_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_\w{30,}+|glpat-[\w-]{20,}+|xox[abeoprs]-[\w-]{10,}+|AIza[\w-]{35}"
    r"|sk-[\w-]{20,}+|pypi-[\w-]{50,}+|npm_[A-Za-z0-9]{36})"
)
_API_KEY_STARTS = ("A", "gh", "glpat-", "xox", "sk-", "pypi-", "npm_")
_EMAIL = re.compile(
    r"(?<![\w.%+-])[\w.%+-]++(?:'[\w.%+-]++){0,3}+@(?:[\w-]++\.)+(?:xn--[\w-]{2,}+|[^\W\d_]{2,}+)"
    # What is glued to it goes with it: it may be the next one.
    r"(?:[\w%+@-]|\.(?=\w))*+"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2}\d{2})((?: ?[A-Z0-9]){11,30})")
_CARD = re.compile(
    r"(?<![\w.+-])(?<!\d[ ])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{4,5})(?![\w-])(?!\.\d)"
)
_SSN = re.compile(r"(?<![\w.-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])(?!\.\d)")
_PHONE = re.compile(
    # +49 30 1234567; a signed decimal number is none
    r"(?<![\w+.])(?:\+|00(?=[1-9]\d[ ]))(?!\d{1,4}+\.\d{1,25}+(?![ ().-]{0,2}\d))[1-9](?:[ ()./-]{0,2}\d){7,14}(?!\d)"
    # (555) 123-4567, 555-123-4567, 555.123.4567
    r"|(?<![\w.-])(?:1[-. ])?(?:\([2-9]\d\d\)[ -]?|[2-9]\d\d([-.]))[2-9]\d\d[-.]\d{4}(?![\w-])(?!\.\d)"
    # 01 23 45 67 89; then 030 1234567, 0171/2345678, 020 7946 0958
    r"|(?<![\w.,/+:-])(?<!\d[ ])0[1-9]([ .-])\d\d(?:\2\d\d){3}(?![\w-])(?!\.\d)"
    r"|(?<![\w.,/+:-])(?<!\d[ ])0[1-9]\d{1,3}[ /-]\d{3,8}(?:[ -]\d{2,5}){0,3}(?![\w.:-])"
)
_LABELLED_PHONE = re.compile(
    r"(?i)((?<![a-z])(?:phone|telephone|tel|mobile|fax)(?:[_ -]?(?:number|no))?[\"']?\s{0,4}[:=]\s{0,4}[\"']?)"
    r"\+?\(?\d(?:[ ()./-]{0,2}\d){5,14}(?!\d)"
)
_IPV4 = re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w])(?!\.\d)")
_MARK = "[REDACTED:"
_KIND = re.compile(r"\[REDACTED:[A-Z_]+\]")
_LONG = re.compile(r"[A-Za-z0-9+/_-]{16}")
_MAX_ENCODINGS = 2
"""How deep base64 within base64 is looked into."""
_DIGITS = re.compile(r"\d(?:[ ()./-]{0,2}[\dA-Z]){5}")


def redact(text: str, *, addresses: bool = False) -> str:
    """Return the text with personal data and secrets replaced by ``[REDACTED:<KIND>]``.

    Kinds: ``PRIVATE_KEY``, ``CREDENTIALS`` (of a URL), ``JWT``, ``TOKEN``, ``SECRET`` (the value of a password, secret or key
    assignment), ``API_KEY``, ``EMAIL``, ``IBAN``, ``CARD``, ``SSN``, ``PHONE`` and, with ``addresses``, ``IP``. Redacting
    twice changes nothing. Base64 that holds any of it goes too. Where full-width digits, look-alikes or invisible characters
    hide something, all of the text comes back in its normal form.
    """
    redacted = _redact(text, addresses=addresses)
    if not text.isascii():
        plain = normal(redacted)
        if plain != redacted:
            looked_through = _redact(plain, addresses=addresses)
            if looked_through.count(_MARK) > redacted.count(_MARK):
                return looked_through
    return redacted


def _redact(text: str, *, addresses: bool, depth: int = 0) -> str:
    if "-----BEGIN" in text:
        text = _redact_keys(text)
    if "@" in text and "://" in text:
        text = _URL_USERINFO.sub(r"\1[REDACTED:CREDENTIALS]@", text)
    lowered = text.lower()
    if "authorization" in lowered:
        text = _AUTHORIZATION.sub(r"\1[REDACTED:TOKEN]", text)
    if "eyJ" in text:
        text = _JWT.sub("[REDACTED:JWT]", text)
    if "bearer" in lowered:
        text = _BEARER.sub(r"\1[REDACTED:TOKEN]", text)
    if any(word in lowered for word in _SECRET_WORDS):
        text = _SECRET.sub(_keep_key, text)
    if any(start in text for start in _API_KEY_STARTS):
        text = _API_KEY.sub("[REDACTED:API_KEY]", text)
    if "@" in text:
        text = _EMAIL.sub("[REDACTED:EMAIL]", text)
    if _DIGITS.search(text):
        text = _redact_ibans(text)
        text = _CARD.sub(_checked_card, text)
        text = _SSN.sub("[REDACTED:SSN]", text)
        text = _LABELLED_PHONE.sub(r"\1[REDACTED:PHONE]", text)
        text = _PHONE.sub("[REDACTED:PHONE]", text)
    if addresses:
        text = _IPV4.sub("[REDACTED:IP]", text)
    return _redact_encoded(text, depth) if depth < _MAX_ENCODINGS and _LONG.search(text) else text


def _redact_encoded(text: str, depth: int) -> str:
    """Replace base64 by the first kind of what it holds."""
    parts = []
    position = 0
    for match, decoded in encoded_in(text):
        found = _KIND.search(_redact(normal(decoded), addresses=False, depth=depth + 1))
        if found and not _KIND.search(decoded):
            parts += [text[position : match.start()], found.group()]
            position = match.end()
    return "".join([*parts, text[position:]])


def is_secret_name(name: str) -> bool:
    """Say whether a field of this name holds a secret, whatever its value looks like."""
    return _SECRET_NAME.search(name) is not None


def _keep_key(match: re.Match[str]) -> str:
    value = match.group(0)[len(match.group(1)) + len(match.group(2)) :]
    quote = value[0] if value[0] in "\"'" else ""
    # A quote that was never closed is closed here, so that what follows is not taken for more of the value next time.
    return f"{match.group(1)}{match.group(2)}{quote}[REDACTED:SECRET]{quote}"


def _checked_card(match: re.Match[str]) -> str:
    digits = match.group(0).replace(" ", "").replace("-", "")
    return "[REDACTED:CARD]" if card_valid(digits) else match.group(0)


def _redact_keys(text: str) -> str:
    """Replace private key blocks; one that is cut off is taken to reach to the end of the text."""
    parts = []
    position = 0
    while begin := _KEY_BEGIN.search(text, position):
        parts += [text[position : begin.start()], "[REDACTED:PRIVATE_KEY]"]
        end = _KEY_END.search(text, begin.end())
        position = end.end() if end else len(text)
    return "".join([*parts, text[position:]])


def _redact_ibans(text: str) -> str:
    """Replace account numbers; how long one is follows from its country code, not from where the capitals end."""
    return _spans_replaced(text, _IBAN, _iban_end, "[REDACTED:IBAN]")


def _iban_end(match: re.Match[str]) -> int | None:
    wanted = IBAN_LENGTHS.get(match.group(1)[:2])
    if wanted is None:
        return None
    compact = []
    for offset, character in enumerate(match.group(0)):
        if character != " ":
            compact.append(character)
        if len(compact) == wanted:
            return match.start() + offset + 1 if iban_valid("".join(compact)) else None
    return None


def _spans_replaced(
    text: str, pattern: re.Pattern[str], end_of: Callable[[re.Match[str]], int | None], replacement: str
) -> str:
    """Replace each match up to the end that ``end_of`` gives it; go on inside of a match that it turns down."""
    parts = []
    position = search_from = 0
    while match := pattern.search(text, search_from):
        end = end_of(match)
        if end is None:
            search_from = match.start() + 1
            continue
        parts += [text[position : match.start()], replacement]
        position = search_from = end
    return "".join([*parts, text[position:]])
