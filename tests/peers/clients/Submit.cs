// Submits with System.Net.Mail, as programs for .NET do. Settings come from the environment, as in submit.py; PEER_TLS may
// be "off" too. Prints "sent", or the refusal as the program shows it to people.

using System;
using System.IO;
using System.Net;
using System.Net.Mail;
using System.Security.Cryptography.X509Certificates;

public static class Submit
{
    static string Setting(string name)
    {
        return Environment.GetEnvironmentVariable("PEER_" + name);
    }

    /// Trusts the authority of the test alone.
    static bool Trusts(X509Certificate certificate)
    {
        var authority = new X509Certificate2(Setting("AUTHORITY"));
        return certificate.Issuer == authority.Subject;
    }

    public static int Main()
    {
        ServicePointManager.SecurityProtocol = SecurityProtocolType.Tls12;
        ServicePointManager.ServerCertificateValidationCallback = (sender, certificate, chain, errors) => Trusts(certificate);
        var client = new SmtpClient(Setting("HOST"), int.Parse(Setting("PORT")));
        client.EnableSsl = Setting("TLS") == "starttls";
        client.Credentials = new NetworkCredential(Setting("USER"), Setting("PASSWORD"));
        client.Timeout = 30000;
        var every = new byte[256 * 40];
        for (var at = 0; at < every.Length; at++)
        {
            every[at] = (byte)at;
        }
        using (var message = new MailMessage())
        {
            message.From = new MailAddress(Setting("FROM"), "Zoë Absender");
            message.To.Add("first@recipient.example");
            message.To.Add("second@recipient.example");
            message.CC.Add("third@recipient.example");
            message.Bcc.Add("hidden@recipient.example");
            message.Priority = MailPriority.High;
            message.Subject = "Grüße aus Zürich ✉ von .NET";
            message.Body = "Grüße.\r\n.ein Punkt am Anfang\r\nEnde\r\n";
            message.Attachments.Add(new Attachment(new MemoryStream(every), "Anhang.bin"));
            try
            {
                client.Send(message);
            }
            catch (SmtpException error)
            {
                for (Exception next = error; next != null; next = next.InnerException)
                {
                    Console.WriteLine(next.Message);
                }
                return 1;
            }
        }
        Console.WriteLine("sent");
        return 0;
    }
}
