// Submits with Jakarta Mail, as much business software does. Settings come from the environment, as in submit.py; where
// PEER_AUTH is XOAUTH2 the password is an access token. The arguments say what is sent, on one connection:
//
// message    a message to four recipients with all that travels badly; it is written down
// partial    a message to three recipients, of which the second is no address
// reports    a message that asks for a report of success
// stranger   a message of somebody else
//
// Prints who got what and who did not, and each refusal.

import jakarta.activation.DataHandler;
import jakarta.mail.Address;
import jakarta.mail.Message;
import jakarta.mail.MessagingException;
import jakarta.mail.SendFailedException;
import jakarta.mail.Session;
import jakarta.mail.Transport;
import jakarta.mail.internet.InternetAddress;
import jakarta.mail.internet.MimeBodyPart;
import jakarta.mail.internet.MimeMessage;
import jakarta.mail.internet.MimeMultipart;
import jakarta.mail.util.ByteArrayDataSource;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Properties;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

public class Submit {
    static final String SENDER = "shop@sender.example";

    static String setting(String name) {
        return System.getenv("PEER_" + name);
    }

    /** Trusts the authority of the test alone. */
    static SSLSocketFactory trusting(String authority) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream file = new FileInputStream(authority)) {
            store.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    static Session session() throws Exception {
        boolean implicit = "implicit".equals(setting("TLS"));
        Properties of = new Properties();
        of.put("mail.transport.protocol", "smtp");
        of.put("mail.smtp.host", setting("HOST"));
        of.put("mail.smtp.port", setting("PORT"));
        of.put("mail.smtp.from", SENDER);
        of.put("mail.smtp.auth", "true");
        of.put("mail.smtp.auth.mechanisms", setting("AUTH"));
        of.put("mail.smtp.ssl.enable", Boolean.toString(implicit));
        of.put("mail.smtp.starttls.enable", Boolean.toString(!implicit));
        of.put("mail.smtp.starttls.required", Boolean.toString(!implicit));
        of.put("mail.smtp.ssl.checkserveridentity", "true");
        of.put("mail.smtp.ssl.socketFactory", trusting(setting("AUTHORITY")));
        of.put("mail.smtp.timeout", "30000");
        of.put("mail.mime.charset", "UTF-8");
        return Session.getInstance(of);
    }

    static MimeMessage compose(Session session, String subject) throws Exception {
        MimeMessage message = new MimeMessage(session);
        message.setFrom(new InternetAddress(SENDER, "Zoë Absender", "UTF-8"));
        message.setSubject(subject, "UTF-8");
        message.setText("Grüße.\r\n.ein Punkt am Anfang\r\n..zwei Punkte\r\n.\r\nEnde\r\n", "UTF-8");
        return message;
    }

    static void message(Session session, Transport transport) throws Exception {
        MimeMessage message = compose(session, "Grüße aus Zürich ✉ von Jakarta Mail");
        message.setRecipients(Message.RecipientType.TO, "Erste <first@recipient.example>, second@recipient.example");
        message.setRecipients(Message.RecipientType.CC, "third@recipient.example");
        message.setRecipients(Message.RecipientType.BCC, "hidden@recipient.example");
        MimeBodyPart text = new MimeBodyPart();
        text.setText("Grüße.\r\n.ein Punkt am Anfang\r\n..zwei Punkte\r\n.\r\nEnde\r\n", "UTF-8");
        text.setHeader("Content-Transfer-Encoding", "8bit");
        byte[] every = new byte[256 * 40];
        for (int at = 0; at < every.length; at++) {
            every[at] = (byte) at;
        }
        MimeBodyPart attachment = new MimeBodyPart();
        attachment.setDataHandler(new DataHandler(new ByteArrayDataSource(every, "application/octet-stream")));
        attachment.setFileName("Anhang.bin");
        message.setContent(new MimeMultipart(text, attachment));
        message.saveChanges();
        transport.sendMessage(message, message.getAllRecipients());
        try (FileOutputStream written = new FileOutputStream(setting("WRITTEN"))) {
            // Jakarta Mail keeps Bcc out of what it sends.
            message.writeTo(written, new String[] {"Bcc", "Content-Length"});
        }
    }

    /** The second is a slip that only a server notices, since this client has been told not to look. */
    static Address[] withSlip() throws Exception {
        InternetAddress slip = new InternetAddress();
        slip.setAddress("second@recipient..example");
        return new Address[] {
            new InternetAddress("first@recipient.example"), slip, new InternetAddress("third@recipient.example"),
        };
    }

    static void tell(String what, Address[] addresses) {
        for (Address address : addresses == null ? new Address[0] : addresses) {
            System.out.println(what + " " + address);
        }
    }

    static void tell(MessagingException error) {
        for (Exception next = error; next != null; ) {
            System.out.println(next.getClass().getSimpleName() + ": " + next.getMessage().strip());
            next = next instanceof MessagingException ? ((MessagingException) next).getNextException() : null;
        }
    }

    public static void main(String[] arguments) throws Exception {
        Session session = session();
        try (Transport transport = session.getTransport()) {
            try {
                transport.connect(setting("USER"), setting("PASSWORD"));
            } catch (MessagingException error) {
                tell(error);
                return;
            }
            for (String task : arguments) {
                try {
                    switch (task) {
                        case "message":
                            message(session, transport);
                            break;
                        case "partial":
                            session.getProperties().put("mail.smtp.sendpartial", "true");
                            transport.sendMessage(compose(session, task), withSlip());
                            break;
                        case "reports":
                            session.getProperties().put("mail.smtp.dsn.notify", "SUCCESS,FAILURE");
                            session.getProperties().put("mail.smtp.dsn.ret", "HDRS");
                            transport.sendMessage(compose(session, task), InternetAddress.parse("first@recipient.example"));
                            break;
                        case "stranger":
                            session.getProperties().put("mail.smtp.from", "boss@elsewhere.example");
                            transport.sendMessage(compose(session, task), InternetAddress.parse("first@recipient.example"));
                            break;
                        default:
                            throw new IllegalArgumentException(task);
                    }
                } catch (SendFailedException error) {
                    tell("sent", error.getValidSentAddresses());
                    tell("unsent", error.getValidUnsentAddresses());
                    tell("invalid", error.getInvalidAddresses());
                    tell(error);
                }
                System.out.println(task + " is done");
            }
        }
    }
}
