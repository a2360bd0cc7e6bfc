//! The ports of a process, in the words of every process.

use std::net::SocketAddr;

use tokio::net::TcpListener;

/// A port that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}; choose another with {variable}")]
pub struct BindError {
    /// address
    pub addr: String,
    /// variable of the port
    pub variable: &'static str,
    /// what the system says
    pub source: std::io::Error,
}

/// Listens on a port of a host, 0 for any free one; `variable` is what chooses it.
pub async fn listen(
    host: &str,
    port: u16,
    variable: &'static str,
) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |source| BindError { addr: format!("{host}:{port}"), variable, source };
    let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// As [`listen`], where there is to be such a port at all.
pub async fn listen_if(
    host: &str,
    port: Option<u16>,
    variable: &'static str,
) -> Result<Option<TcpListener>, BindError> {
    match port {
        Some(port) => Ok(Some(listen(host, port, variable).await?.0)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_what_chooses_another() {
        let (_first, local) = listen("127.0.0.1", 0, "KXI_PORT").await.unwrap();
        assert_ne!(local.port(), 0);
        let error = listen("127.0.0.1", local.port(), "KXI_PORT").await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {local}: ")), "{error}");
        assert!(error.ends_with("; choose another with KXI_PORT"), "{error}");
        assert!(listen_if("127.0.0.1", None, "QMESH_HTTP_PORT").await.unwrap().is_none());
        let error = listen_if("127.0.0.1", Some(local.port()), "QMESH_HTTP_PORT").await.unwrap_err();
        assert_eq!(error.variable, "QMESH_HTTP_PORT");
    }
}
