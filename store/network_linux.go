package store

import (
	"os"
	"strings"
	"syscall"
)

// remote are the file systems, by statfs(2) number, whose files live on
// another machine or behind a protocol without sound shared memory: WAL and
// locks cannot be trusted there.
var remote = map[uint32]string{
	0x6969:     "NFS",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB",
	0x517b:     "SMB",
	0x01021997: "9P",
	0x5346414f: "AFS",
	0x73757245: "Coda",
	0x00c36400: "Ceph",
	0x0bd00bd0: "Lustre",
	0x7461636f: "OCFS2",
	0x47504653: "GPFS",
	0x786f4256: "VirtualBox shared folder",
	0xbacbacbc: "VMware shared folder",
}

const fuse = 0x65735546

// localFuse are the FUSE file systems that keep their files on this machine.
var localFuse = map[string]bool{
	"fuseblk": true, "fuse.ntfs-3g": true, "fuse.gocryptfs": true, "fuse.encfs": true,
	"fuse.cryfs": true, "fuse.bindfs": true, "fuse.mergerfs": true, "fuse.fuse-overlayfs": true,
	"fuse.lxcfs": true,
}

// networkFS names the network file system that holds dir; empty: it is local.
func networkFS(dir string) string {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return "" // the open that follows says what is wrong
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		mounts = nil
	}
	return networkName(uint32(fs.Type), dir, string(mounts))
}

// networkName tells by the number of a file system, and for FUSE, where one
// number stands for all, by its type in the text of mountinfo.
func networkName(number uint32, dir, mounts string) string {
	if number != fuse {
		return remote[number]
	}
	if kind := mountType(dir, mounts); !localFuse[kind] {
		return kind
	}
	return ""
}

// mountType returns the type of the mount that dir is on, "fuse" if the table
// does not tell.
func mountType(dir, mounts string) string {
	kind, longest := "fuse", -1
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(types) < 1 {
			continue
		}
		point := unescapeMount.Replace(fields[4])
		inside := dir == point || strings.HasPrefix(dir, strings.TrimSuffix(point, "/")+"/")
		if inside && len(point) >= longest { // a later mount hides an earlier one
			kind, longest = types[0], len(point)
		}
	}
	return kind
}

var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
