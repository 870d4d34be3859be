//! Clients of HTTP. Encryption is ring's, chosen here for the whole process: the library would choose by what it was built with, and
//! end the process where it was built with nothing.

use reqwest::{Client, ClientBuilder};

/// A client for servers anywhere: proxies of the environment, certificates of this machine.
pub fn anywhere() -> ClientBuilder {
    choose();
    Client::builder()
}

/// A client for servers that do not encrypt: no certificate is looked for, since the agent's container has none.
pub fn unencrypted() -> ClientBuilder {
    choose();
    Client::builder().tls_certs_only(std::iter::empty())
}

fn choose() {
    // The second time there is one already, and it is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_clients_can_be_made_again_and_again() {
        for _ in 0..2 {
            super::unencrypted().build().unwrap();
            // A container may have no certificates, and then says so.
            if let Err(error) = super::anywhere().build() {
                let told = format!("{error:?}");
                assert!(told.contains("No CA certificates"), "{told}");
            }
        }
    }
}
