//! A socket that has a path instead of an address, for clients of the same machine.
//!
//! Owns: binding it, and its file. Asked by: `Listener`. Never: takes a path that somebody listens at, or that is no socket.
//! Bounds: a path of 107 bytes, the system's (unix(7)); longer ones are refused by it.
//! Everybody on the machine may connect, as over loopback; who must not is kept out by the directory's permissions.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Removed when dropped.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already: all the better.
        let _ = fs::remove_file(&self.0);
    }
}

/// The socket, bound, and its file.
pub(super) fn bind(path: &Path) -> io::Result<(Socket, SocketFile)> {
    let address = SockAddr::unix(path)?;
    clear(path, &address)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address)?;
    let file = SocketFile(path.to_path_buf());
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    Ok((socket, file))
}

/// Removes what a server that was killed has left.
fn clear(path: &Path, address: &SockAddr) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(there) if !there.file_type().is_socket() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(_) => {}
    }
    let asking = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    asking.set_nonblocking(true)?;
    match asking.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}
