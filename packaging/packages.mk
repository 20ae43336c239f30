# SPDX-License-Identifier: GPL-2.0-only
# Packages for Debian and Fedora, into dist/. Included by the top Makefile.
#
# The packages contain the files tracked by git, in their present state; all timestamps
# are that of the last entry in debian/changelog. So builds are reproducible.

release := ivshmem-$(user-version)
tarball := build/package/$(release).tar.gz
epoch = $(shell date +%s -d "$$(sed -n '/^ -- /{s/.*>  //p;q}' debian/changelog)")

deb-packages := build-essential debhelper dh-dkms dh-python fakeroot git libjansson-dev \
	libncurses-dev libxxhash-dev pkgconf python3
# Without cpio and elfutils find-debuginfo makes empty packages, and calls that a success.
rpm-packages := cpio debugedit elfutils gcc git libc6-dev libjansson-dev libncurses-dev \
	libxxhash-dev make perl pkgconf python3 rpm
repo-packages := apt-utils createrepo-c gpg gpg-agent rpm
check-packages-packages := dnf e2fsprogs lintian mmdebstrap rpmlint

export-sources:
	@mkdir -p build/package dist
	rm -f $(tarball)
	git ls-files -z > build/package/files
	umask 022; tar --create --no-recursion --null --files-from=build/package/files \
		--transform='s,^,$(release)/,' --mtime=@$(epoch) --owner=0 --group=0 \
		--numeric-owner --mode=a+rX,u+w,go-w --format=gnu | gzip -9n > $(tarball)

prerequisites-deb:
	@packaging/prerequisites.sh $(deb-packages)

prerequisites-rpm:
	@packaging/prerequisites.sh $(rpm-packages)

deb: prerequisites-deb export-sources ## build the Debian packages into dist/
	rm -rf build/package/deb dist/*.deb dist/*.dsc dist/*.tar.xz
	mkdir build/package/deb
	umask 022; tar -C build/package/deb -xf $(tarball)
	cd build/package/deb/$(release) && env -u MAKEFLAGS -u MFLAGS LC_ALL=C.UTF-8 \
		SOURCE_DATE_EPOCH=$(epoch) DEB_BUILD_OPTIONS='noautodbgsym $(DEB_BUILD_OPTIONS)' \
		dpkg-buildpackage --no-sign
	mv build/package/deb/*.deb build/package/deb/*.dsc build/package/deb/*.tar.xz dist/

# Debian has what is required as packages that rpm does not know, and lacks some macros.
rpm-on-debian = $(if $(wildcard /etc/debian_version),--nodeps --load rpm/debian.macros)

# rpmbuild writes its paths to the source package, whose checksum is in all others. A path
# through a descriptor is independent of the location of the tree.
rpm: prerequisites-rpm export-sources ## build the RPM packages into dist/
	rm -rf build/package/rpm dist/*.rpm
	mkdir build/package/rpm
	umask 022; tar -C build/package/rpm -xf $(tarball) --strip-components=2 \
		$(release)/rpm/ivshmem.spec
	umask 022; exec 9<build/package; env -u MAKEFLAGS -u MFLAGS LC_ALL=C.UTF-8 \
		SOURCE_DATE_EPOCH=$(epoch) \
		rpmbuild -ba $(rpm-on-debian) build/package/rpm/ivshmem.spec \
		--define '_topdir /proc/self/fd/9/rpm' \
		--define '_sourcedir /proc/self/fd/9' \
		--define '_buildhost localhost' \
		--define 'use_source_date_epoch_as_buildtime 1' \
		--define 'clamp_mtime_to_source_date_epoch 1' \
		--define 'build_mtime_policy clamp_to_source_date_epoch'
	mv build/package/rpm/RPMS/*/*.rpm build/package/rpm/SRPMS/*.rpm dist/

prerequisites-repo:
	@packaging/prerequisites.sh $(repo-packages)

repo: prerequisites-repo ## make signed repositories of what is in dist/; KEY=, URL=, REPO=
	@packaging/make-repo dist '$(or $(REPO),repo)' '$(KEY)' '$(URL)'

prerequisites-packages: prerequisites prerequisites-deb prerequisites-rpm prerequisites-repo
	@packaging/prerequisites.sh $(check-packages-packages)

check-packages: prerequisites-packages ## try the packages on real systems; TESTS=pattern
	@PYTHONPATH=tests/rig python3 -B tests/packages/check.py

bench-dkms: prerequisites-packages ## time DKMS with the driver and with another one
	@PYTHONPATH=tests/rig python3 -B tests/packages/bench.py

.PHONY: export-sources prerequisites-deb prerequisites-rpm prerequisites-repo \
	prerequisites-packages deb rpm repo check-packages bench-dkms
