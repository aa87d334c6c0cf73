//! Microsoft's clouds.

/// A cloud of Microsoft. Each has token endpoint, mail servers and Graph of its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cloud {
    /// China, operated by 21Vianet.
    China,
    /// The one everybody uses.
    #[default]
    Global,
    /// US government, department of defense (L5).
    UsDod,
    /// US government, GCC High (L4).
    UsGov,
}

impl Cloud {
    /// All clouds.
    pub const ALL: [Self; 4] = [Self::China, Self::Global, Self::UsDod, Self::UsGov];

    /// Returns where tokens are issued, without a slash at the end.
    pub const fn authority(self) -> &'static str {
        self.row().authority
    }

    /// Returns the address of Graph, without a slash at the end.
    pub const fn graph(self) -> &'static str {
        self.row().graph
    }

    /// Returns the scope of an application that uses Graph with its own permissions.
    pub const fn graph_scope(self) -> &'static str {
        self.row().graph_scope
    }

    /// Returns the SMTP server that mailboxes submit to.
    pub const fn smtp_host(self) -> &'static str {
        self.row().smtp_host
    }

    /// Returns the scope of an application that submits by SMTP with its own permissions (`SMTP.SendAsApp`).
    pub const fn smtp_scope(self) -> &'static str {
        self.row().smtp_scope
    }

    /// Returns the scope of a program that submits by SMTP with a person's permission, and may refresh it.
    pub const fn smtp_login_scope(self) -> &'static str {
        self.row().smtp_login_scope
    }

    /// The table.
    const fn row(self) -> &'static Row {
        match self {
            Self::China => &Row {
                authority: "https://login.partner.microsoftonline.cn",
                graph: "https://microsoftgraph.chinacloudapi.cn",
                graph_scope: "https://microsoftgraph.chinacloudapi.cn/.default",
                smtp_host: "smtp.partner.outlook.cn",
                smtp_scope: "https://partner.outlook.cn/.default",
                smtp_login_scope: "https://partner.outlook.cn/SMTP.Send offline_access",
            },
            Self::Global => &Row {
                authority: "https://login.microsoftonline.com",
                graph: "https://graph.microsoft.com",
                graph_scope: "https://graph.microsoft.com/.default",
                smtp_host: "smtp.office365.com",
                smtp_scope: "https://outlook.office365.com/.default",
                smtp_login_scope: "https://outlook.office.com/SMTP.Send offline_access",
            },
            Self::UsDod => &Row {
                authority: "https://login.microsoftonline.us",
                graph: "https://dod-graph.microsoft.us",
                graph_scope: "https://dod-graph.microsoft.us/.default",
                smtp_host: "outlook-dod.office365.us",
                smtp_scope: "https://webmail.apps.mil/.default",
                smtp_login_scope: "https://webmail.apps.mil/SMTP.Send offline_access",
            },
            Self::UsGov => &Row {
                authority: "https://login.microsoftonline.us",
                graph: "https://graph.microsoft.us",
                graph_scope: "https://graph.microsoft.us/.default",
                smtp_host: "smtp.office365.us",
                smtp_scope: "https://outlook.office365.us/.default",
                smtp_login_scope: "https://outlook.office365.us/SMTP.Send offline_access",
            },
        }
    }
}

/// What differs between the clouds.
struct Row {
    authority: &'static str,
    graph: &'static str,
    graph_scope: &'static str,
    smtp_host: &'static str,
    smtp_scope: &'static str,
    smtp_login_scope: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_one() {
        for cloud in Cloud::ALL {
            let scopes = [
                cloud.graph_scope(),
                cloud.smtp_scope(),
                cloud.smtp_login_scope(),
            ];
            let addresses = [cloud.authority(), cloud.graph()];
            for text in addresses.into_iter().chain(scopes) {
                let first = text.split(' ').next().unwrap();
                let url = url::Url::parse(first).unwrap();
                assert_eq!(url.scheme(), "https");
                assert!(!first.ends_with('/'), "{first}");
            }
        }
    }
}
