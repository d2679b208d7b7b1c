"""What a file is, told from its first bytes: its name and what its sender claims are not believed."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class FileKind:
    """A kind of file: its media type, the same in words, whether what may do harm travels as this."""

    media_type: str
    says: str
    harmless: bool = False


_UNKNOWN = FileKind("application/octet-stream", "data of an unknown kind")
_TEXT = FileKind("text/plain", "text", harmless=True)

# (offset, bytes, kind); the longer signature of two that begin alike stands first.
_SIGNATURES: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"MZ", FileKind("application/vnd.microsoft.portable-executable", "Windows program")),
    (0, b"\x7fELF", FileKind("application/x-elf", "Linux program")),
    (0, b"\xcf\xfa\xed\xfe", FileKind("application/x-mach-binary", "macOS program")),
    (0, b"\xce\xfa\xed\xfe", FileKind("application/x-mach-binary", "macOS program")),
    (0, b"\xca\xfe\xba\xbe", FileKind("application/java-vm", "Java class or macOS program")),
    (0, b"dex\n", FileKind("application/vnd.android.dex", "Android program")),
    (0, b"\0asm", FileKind("application/wasm", "WebAssembly program")),
    (0, b"L\0\0\0\x01\x14\x02\0", FileKind("application/x-ms-shortcut", "Windows shortcut")),
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        FileKind("application/x-ole-storage", "old Office file, mail or installer"),
    ),
    (0, b"{\\rtf", FileKind("application/rtf", "RTF document")),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", FileKind("application/onenote", "OneNote file")),
    (0, b"ITSF", FileKind("application/vnd.ms-htmlhelp", "Windows help file")),
    (0, b"PK\x03\x04", FileKind("application/zip", "ZIP archive or Office document")),
    (0, b"PK\x05\x06", FileKind("application/zip", "empty ZIP archive")),
    (0, b"Rar!\x1a\x07", FileKind("application/vnd.rar", "RAR archive")),
    (0, b"7z\xbc\xaf\x27\x1c", FileKind("application/x-7z-compressed", "7-Zip archive")),
    (0, b"\x1f\x8b", FileKind("application/gzip", "gzip archive")),
    (0, b"BZh", FileKind("application/x-bzip2", "bzip2 archive")),
    (0, b"\xfd7zXZ\0", FileKind("application/x-xz", "xz archive")),
    (0, b"\x28\xb5\x2f\xfd", FileKind("application/zstd", "Zstandard archive")),
    (0, b"MSCF", FileKind("application/vnd.ms-cab-compressed", "Windows cabinet")),
    (257, b"ustar", FileKind("application/x-tar", "tar archive")),
    (0, b"conectix", FileKind("application/x-virtual-disk", "virtual disk")),
    (0, b"vhdxfile", FileKind("application/x-virtual-disk", "virtual disk")),
    (0, b"\xd4\xc3\xb2\xa1", FileKind("application/vnd.tcpdump.pcap", "network capture", harmless=True)),
    (0, b"\xa1\xb2\xc3\xd4", FileKind("application/vnd.tcpdump.pcap", "network capture", harmless=True)),
    (0, b"\x0a\x0d\x0d\x0a", FileKind("application/x-pcapng", "network capture", harmless=True)),
    (0, b"ElfFile\0", FileKind("application/x-windows-evtx", "Windows event log", harmless=True)),
    (0, b"SQLite format 3\0", FileKind("application/vnd.sqlite3", "SQLite database")),
    (0, b"\x89PNG\r\n\x1a\n", FileKind("image/png", "PNG picture", harmless=True)),
    (0, b"\xff\xd8\xff", FileKind("image/jpeg", "JPEG picture", harmless=True)),
    (0, b"GIF8", FileKind("image/gif", "GIF picture", harmless=True)),
    (0, b"BM", FileKind("image/bmp", "BMP picture", harmless=True)),
    (8, b"WEBP", FileKind("image/webp", "WebP picture", harmless=True)),
    (4, b"ftypheic", FileKind("image/heic", "HEIC picture", harmless=True)),
    (4, b"ftyp", FileKind("video/mp4", "video", harmless=True)),
    (0, b"ID3", FileKind("audio/mpeg", "sound", harmless=True)),
    (0, b"OggS", FileKind("audio/ogg", "sound", harmless=True)),
)
_MAILED = FileKind("message/rfc822", "mail")
_PDF = FileKind("application/pdf", "PDF document")
_HEADER = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{1,60}:(?:[ \t][^\r\n]*)?\r?\n(?:[ \t][^\r\n]*\r?\n)*){2,}")
_MAIL = re.compile(
    r"^(?:received|from|return-path|message-id|delivered-to|subject):", re.IGNORECASE | re.MULTILINE
)
_MARKUP = re.compile(r"\s*(?:<!doctype html|<html|<head|<body|<script|<svg|<\?xml)", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def kind_of(head: bytes) -> FileKind:
    """What begins with these bytes (a few KiB are enough)."""
    for offset, signature, kind in _SIGNATURES:
        if head.startswith(signature, offset):
            return kind
    if b"%PDF-" in head[:1024]:
        return _PDF
    text = _text(head)
    if text is not None:
        return _written(text)
    return _MAILED if _is_mail(head.decode("latin-1")) else _UNKNOWN  # a mail may hold letters of any kind


def _written(text: str) -> FileKind:
    """The kind of a text."""
    if text.startswith("#!"):
        return FileKind("text/x-script", "script")
    if _is_mail(text):
        return _MAILED
    if _MARKUP.match(text):
        return FileKind("text/html", "web page or XML")
    return _TEXT


def _is_mail(text: str) -> bool:
    """Whether a text begins with the headers of a mail."""
    headers = _HEADER.match(text)
    return headers is not None and len(_MAIL.findall(headers[0])) >= 2


def _text(head: bytes) -> str | None:
    """The bytes as text, or None; the last letter may be cut in the middle."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", "replace")
    else:
        try:
            text = head.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4:
                return None
            text = head[: error.start].decode("utf-8")
    return None if _CONTROL.search(text) else text.removeprefix("\ufeff")
