//! Sockets: the network, the daemons of this machine, and the kernel.

use std::fs;
use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, sendto, socketpair,
};

use crate::{Attempts, Outcome, TOKEN, check, in_arena, outside};

pub(crate) const ATTEMPTS: Attempts = &[
    ("TCP", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port("tcp")?))?;
        stream.write_all(TOKEN)
    }),
    ("UDP", || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.send_to(TOKEN, ("127.0.0.1", port("udp")?))?;
        // The listener says whether it arrived.
        Err(io::Error::other("sent"))
    }),
    ("unix socket with a path", || {
        UnixStream::connect(in_arena("stream.sock"))?.write_all(TOKEN)
    }),
    ("unix datagram with a path", || {
        UnixDatagram::unbound()?
            .send_to(TOKEN, in_arena("datagram.sock"))
            .map(drop)
    }),
    ("abstract unix socket", abstract_socket),
    ("unix pair sends to a path", || {
        by_pair(|end| sendto(end, TOKEN, &with_path()?, MsgFlags::empty()))
    }),
    ("unix pair turned to a path", || {
        by_pair(|end| {
            connect(end, &with_path()?)?;
            send(end, TOKEN, MsgFlags::empty())
        })
    }),
    ("unix pair sends to an abstract name", || {
        by_pair(|end| sendto(end, TOKEN, &without_path()?, MsgFlags::empty()))
    }),
    ("unix pair turned to an abstract name", || {
        by_pair(|end| {
            connect(end, &without_path()?)?;
            send(end, TOKEN, MsgFlags::empty())
        })
    }),
    ("unix socket outside", || {
        UnixListener::bind(outside("new")).map(drop)
    }),
    ("raw socket", || {
        socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)
    }),
    ("packet socket", || {
        socket(libc::AF_PACKET, libc::SOCK_RAW, 0)
    }),
    ("netlink to the kernel", || {
        socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW,
            libc::NETLINK_KOBJECT_UEVENT,
        )
    }),
    ("change the network", change_network),
    ("vsock", || socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
    ("crypto socket", || {
        socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)
    }),
    ("another kind of socket", || {
        const HIGHEST: i32 = 64;
        const WITH_ROWS_OF_THEIR_OWN: &[i32] = &[
            libc::AF_UNIX,
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_NETLINK,
            libc::AF_PACKET,
            libc::AF_VSOCK,
            libc::AF_ALG,
        ];
        let kinds = [
            libc::SOCK_STREAM,
            libc::SOCK_DGRAM,
            libc::SOCK_RAW,
            libc::SOCK_SEQPACKET,
        ];
        let families = (1..HIGHEST).filter(|family| !WITH_ROWS_OF_THEIR_OWN.contains(family));
        let mut tries = families.flat_map(|family| kinds.map(|kind| socket(family, kind, 0)));
        match tries.any(|made| made.is_ok()) {
            true => Ok(()),
            false => Err(io::Error::other("none")),
        }
    }),
];

fn port(name: &str) -> io::Result<u16> {
    let text = fs::read_to_string(in_arena(&format!("{name}.port")))?;
    text.parse().map_err(io::Error::other)
}

fn socket(family: i32, kind: i32, protocol: i32) -> Outcome {
    // SAFETY: numbers only.
    check(unsafe { libc::socket(family, kind, protocol) }.into())
}

fn abstract_socket() -> Outcome {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let name = fs::read(in_arena("abstract.name"))?;
    let address = SocketAddr::from_abstract_name(name)?;
    UnixStream::connect_addr(&address)?.write_all(TOKEN)
}

/// Whether an end of a pair of any kind leads to somebody other than its other end.
fn by_pair(lead_away: impl Fn(RawFd) -> nix::Result<usize>) -> Outcome {
    let kinds = [
        SockType::Datagram,
        SockType::Raw,
        SockType::SeqPacket,
        SockType::Stream,
    ];
    let mut last = Ok(());
    for kind in kinds {
        match lead_away_of(kind, &lead_away) {
            Ok(()) => return Ok(()),
            Err(errno) => last = Err(errno.into()),
        }
    }
    last
}

fn lead_away_of(
    kind: SockType,
    lead_away: impl Fn(RawFd) -> nix::Result<usize>,
) -> nix::Result<()> {
    let (end, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::empty())?;
    lead_away(end.as_raw_fd())?;
    // A socket of packets heeds no name: then it went to the other end.
    match recv(other.as_raw_fd(), &mut [0; 16], MsgFlags::MSG_DONTWAIT) {
        Ok(_) => Err(Errno::EISCONN),
        Err(_) => Ok(()),
    }
}

fn with_path() -> nix::Result<UnixAddr> {
    UnixAddr::new(&in_arena("datagram.sock"))
}

fn without_path() -> nix::Result<UnixAddr> {
    let name = fs::read(in_arena("abstract-datagram.name")).map_err(|_| Errno::ENOENT)?;
    UnixAddr::new_abstract(&name)
}

/// Sets flags of an interface that does not exist: who may do such things is told so.
fn change_network() -> Outcome {
    const NO_SUCH_INTERFACE: u32 = 0x0fff_fff0;
    // SAFETY: numbers only.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE) };
    check(socket.into())?;
    // struct nlmsghdr: length, type and flags, sequence, port; struct ifinfomsg: family, index …
    let kind = u32::from(libc::RTM_SETLINK);
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK).cast_unsigned() << 16;
    let request: [u32; 8] = [32, kind | flags, 1, 0, 0, NO_SUCH_INTERFACE, 0, 0];
    // SAFETY: as many bytes as are told.
    let sent = unsafe { libc::send(socket, request.as_ptr().cast(), size_of_val(&request), 0) };
    check(sent as libc::c_long)?;
    let mut answer = [0_i32; 64];
    let room = size_of_val(&answer);
    // SAFETY: as many bytes as there is room for.
    let got = unsafe { libc::recv(socket, answer.as_mut_ptr().cast(), room, 0) };
    check(got as libc::c_long)?;
    // struct nlmsgerr: the error stands behind the header.
    match -answer[4] {
        libc::ENODEV => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
