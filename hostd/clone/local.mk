# Instant clones: what of them is in the host daemon's library, and the program that libvirt starts in QEMU's place.
libusher_hostd_a_SOURCES += \
	hostd/clone/fork.h hostd/clone/golden.h hostd/clone/parents.h hostd/clone/unfinished.c \
	hostd/clone/forkable.c hostd/clone/forkable.h \
	hostd/storage/overlay.h \
	hostd/virt/agent.h hostd/virt/elastic.h hostd/virt/hot.h
