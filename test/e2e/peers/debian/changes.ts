/** What the layers of the Debian image do to the tree: shell scripts, as they would stand in a Dockerfile. */

/** In the base's chroot: what would only make the layer larger. */
export const CLEAN_BASE = "apt-get clean; rm -rf /var/lib/apt/lists/*";

/** Packages with file capabilities, setuid and setgid programs, and directories of users other than root. */
export const INSTALL = `
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -qy --no-install-recommends install iputils-ping libcap2-bin openssh-client sudo at
apt-get clean
rm -rf /var/lib/apt/lists/*
`;

/** In the chroot of the second layer's tree: deletions and replacements of all sorts, and every sort of file there is. */
export const CHANGE = `
export DEBIAN_FRONTEND=noninteractive
umask 022
apt-get -qy purge at
rm -rf /usr/share/doc /usr/share/man
rm /etc/issue

# A directory that is made anew hides what was in it: an opaque whiteout.
rm -rf /etc/cron.d
mkdir /etc/cron.d
echo own > /etc/cron.d/own

# A directory becomes a link, a file a directory.
rm -rf /media
ln -s mnt /media
rm /etc/issue.net
mkdir /etc/issue.net
echo below > /etc/issue.net/file

install -m 4755 /bin/true /usr/local/bin/setuid
install -m 2755 -o 7 -g 1234567 /bin/true /usr/local/bin/setgid
install -d -m 1777 -o 7654321 -g 42 /srv/sticky
cp /bin/true /usr/local/bin/capable
setcap cap_net_bind_service,cap_sys_nice+ep /usr/local/bin/capable
ln /usr/local/bin/capable /usr/local/bin/capable-too
ln -s /nowhere/at/all /srv/dangling

mkdir -m 700 /srv/dev
mknod /srv/dev/null c 1 3
mknod /srv/dev/loop b 7 200
mknod /srv/dev/large c 510 300000
mkfifo /srv/dev/fifo
chown 33:tape /srv/dev/*
chmod 666 /srv/dev/null
chmod 640 /srv/dev/loop
`;

/** On this machine, in an empty directory that GNU tar makes a layer of: what Go's tar writers leave out. */
export const BY_TAR = `
umask 022
mkdir -p etc srv/times
touch -d '2001-02-03 04:05:06.123456789Z' srv/times/nanoseconds
touch -d '1961-01-01 00:00:00.5Z' srv/times/before-1970
ln -s nanoseconds srv/times/link
touch -h -d '2002-03-04 05:06:07.987654321Z' srv/times/link
printf 'replaced\\n' > etc/debian_version
ln etc/debian_version srv/debian_version
touch "srv/$(printf 'not-utf-8-\\351\\377')"
long=$(printf '%0200d' 1)
mkdir -p "srv/$long/$long"
touch "srv/$long/$long/$long"
ln -s "$long/$long/$long" srv/long-link
printf begin > srv/sparse
truncate -s 5M srv/sparse
printf end >> srv/sparse
touch -d '2003-04-05 06:07:08.5Z' srv/times etc srv
`;

/** Attributes for files of {@link BY_TAR}: name and text. */
export const XATTRS: readonly (readonly [path: string, name: string, value: string])[] = [
  ["srv/times/nanoseconds", "user.varve.text", "value = with\nlines"],
  ["srv/times", "user.varve.directory", "yes"],
  ["srv/times/nanoseconds", "trusted.varve", "only root sees it"],
];

/** On this machine, in the tree that umoci made of the other layers and makes a layer of again. */
export const BY_UMOCI = `
umask 022
rm -r srv/sticky usr/share/common-licenses
rm usr/local/bin/capable-too
printf 'changed by umoci\\n' >> etc/cron.d/own
chmod 4711 usr/local/bin/setgid
chown 99:99 etc/issue.net/file
mkdir -m 2750 srv/umoci
ln usr/local/bin/setuid srv/umoci/setuid
mknod srv/umoci/zero c 1 5
`;
