# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that lack something: a copy of one's headers, with an option off.

That is what a kernel configured without it has for modules: neither the option, nor
those that depend on it, nor what they export.
"""

import pathlib
import re
import shutil
import typing

import archive
import kernels


class Option(typing.NamedTuple):
    """Patterns of whole names."""

    dependent: str  # options that are off as well, without CONFIG_
    exports: str  # symbols, or a symbol and its module


OPTIONS = {
    "CONFIGFS_FS": Option("-", r"\w+\tfs/configfs/configfs"),
    "DEBUG_INFO_BTF": Option(r"DEBUG_INFO_BTF_\w+", ""),
    "DMA_SHARED_BUFFER": Option("-", r"dma_(buf|fence|resv)_\w+"),
    "EVENTFD": Option("-", r"eventfd_\w+"),
    "INET": Option(r"IPV6\w*|INET_\w+|TCP_\w+|IP_\w+", r"_*(inet|inet6|tcp|ip|ipv6)_\w+"),
    "MODVERSIONS": Option("ASM_MODVERSIONS", ""),
    "PCI": Option(r"PCI_\w+|PCIE\w+|HOTPLUG_PCI\w*", r"_*pci(e|m|bios)?_\w+"),
    "PCI_MSI": Option(r"GENERIC_MSI_IRQ|PCI_MSI_\w+", r"pci_\w*(msi|irq_vector)\w*"),
    "PM": Option(r"PM_\w+|SUSPEND\w*|HIBERNATION\w*", r"_*(dev_|device_)?pm_\w+"),
    "TRACEPOINTS": Option(
        r"TRACING|TRACE_\w+|\w+_EVENTS|\w*EVENT_TRACING|\w*FTRACE\w*|\w+_TRACER",
        r"_*(trace|perf_trace|bpf_trace|event_trigger|ring_buffer)\w*",
    ),
    "TRANSPARENT_HUGEPAGE": Option(r"TRANSPARENT_HUGEPAGE_\w+", r"vmf_insert_\w*p[mu]d\w*"),
    "VSOCKETS": Option(r"VSOCKETS_\w+|VIRTIO_VSOCKETS\w*", r"\w+\tnet/vmw_vsock/\w+"),
}


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copy headers; a link would have Kbuild write to the real ones."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    for name in ("scripts", "tools"):
        (target / name).unlink()
        (target / name).symlink_to((source / name).resolve())
    makefile = target / "Makefile"
    makefile.write_text(makefile.read_text().replace(str(source), str(target)))


def _drop(path: pathlib.Path, pattern: str) -> None:
    """Delete lines from a file."""
    text, count = re.subn(rf"^{pattern}.*\n", "", path.read_text(), flags=re.M)
    if not count:
        raise archive.ArchiveError(f"{path} has no {pattern}: nothing can be tested without it")
    path.write_text(text)


def headers_without(name: str, kernel: kernels.Kernel, directory: pathlib.Path) -> pathlib.Path:
    """The headers of a kernel as they were with an option off, in a directory."""
    option = OPTIONS[name]
    _copy(kernel.headers, directory)
    off = rf"CONFIG_({name}|{option.dependent})"
    _drop(directory / "include/config/auto.conf", f"{off}=")
    _drop(directory / "include/generated/autoconf.h", rf"#define {off}(_MODULE)?\s")
    if option.exports:
        _drop(directory / "Module.symvers", rf"0x\w+\t({option.exports})\t")
    return directory
