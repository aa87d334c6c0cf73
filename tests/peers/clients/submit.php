<?php
// Submits one message with PHPMailer and writes down every octet that it wrote. Settings come from the environment, as
// in submit.py.

declare(strict_types=1);

require '/usr/share/php/libphp-phpmailer/src/Exception.php';
require '/usr/share/php/libphp-phpmailer/src/PHPMailer.php';
require '/usr/share/php/libphp-phpmailer/src/SMTP.php';

use PHPMailer\PHPMailer\PHPMailer;
use PHPMailer\PHPMailer\SMTP;

/** Keeps what is sent, before it is encrypted. */
final class RecordingSmtp extends SMTP
{
    public string $written = '';

    public function client_send($data, $command = '')
    {
        $this->written .= $data;
        return parent::client_send($data, $command);
    }
}

$smtp = new RecordingSmtp();
$mail = new PHPMailer(true);
$mail->setSMTPInstance($smtp);
$mail->isSMTP();
$mail->Host = getenv('PEER_HOST');
$mail->Port = (int) getenv('PEER_PORT');
$mail->SMTPSecure = getenv('PEER_TLS') === 'implicit' ? PHPMailer::ENCRYPTION_SMTPS : PHPMailer::ENCRYPTION_STARTTLS;
$mail->SMTPOptions = ['ssl' => ['cafile' => getenv('PEER_AUTHORITY')]];
$mail->SMTPAuth = true;
$mail->AuthType = getenv('PEER_AUTH');
$mail->Username = getenv('PEER_USER');
$mail->Password = getenv('PEER_PASSWORD');
$mail->Timeout = 30;
$mail->CharSet = PHPMailer::CHARSET_UTF8;
$mail->Encoding = PHPMailer::ENCODING_QUOTED_PRINTABLE;
$mail->Priority = 3;

$mail->setFrom('shop@sender.example', 'Zoë Absender');
$mail->addAddress('first@recipient.example', 'Erste');
$mail->addAddress('second@recipient.example');
$mail->addCC('third@recipient.example');
$mail->addBCC('hidden@recipient.example');
// PHPMailer keeps Bcc out of what it sends; this one puts it in, so that the relay has to remove it.
$mail->addCustomHeader('Bcc', 'hidden@recipient.example');
$mail->Subject = 'Grüße aus Zürich ✉ von PHPMailer';
$mail->Body = "Grüße.\r\n.ein Punkt am Anfang\r\n..zwei Punkte\r\n.\r\nEnde\r\n";
$mail->addStringAttachment(str_repeat(implode('', array_map('chr', range(0, 255))), 40), 'Anhang ä.bin');
$mail->send();

file_put_contents(getenv('PEER_WRITTEN'), $smtp->written);
