// SPDX-License-Identifier: GPL-2.0-only
// A region in memory that memmap= reserves. Its interrupt is that of a serial port which
// soft_acpi.c makes QEMU add.
DefinitionBlock ("", "SSDT", 2, "IVSHM", "SOFT", 1)
{
	Scope (\_SB)
	{
		Device (SHM0)
		{
			Name (_HID, "PRP0001")
			Name (_DSD, Package ()
			{
				ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
				Package () { Package () { "compatible", "ivshmem,shared-memory" } }
			})
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0x0a000000, 0x00010000)
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 5 }
			})
		}
	}
}
