<?php
// Submits one message with Symfony Mailer, which Magento and Laravel send with, and writes it down. Settings come from the
// environment, as in submit.py; the mechanism is left to Symfony.

declare(strict_types=1);

require '/usr/share/php/Symfony/Component/Mailer/autoload.php';

use Symfony\Component\Mailer\Exception\TransportExceptionInterface;
use Symfony\Component\Mailer\Transport;
use Symfony\Component\Mime\Address;
use Symfony\Component\Mime\Email;

// As people write it into MAILER_DSN.
$scheme = getenv('PEER_TLS') === 'implicit' ? 'smtps' : 'smtp';
$login = rawurlencode(getenv('PEER_USER')) . ':' . rawurlencode(getenv('PEER_PASSWORD'));
$transport = Transport::fromDsn("$scheme://$login@" . getenv('PEER_HOST') . ':' . getenv('PEER_PORT'));
$transport->getStream()->setStreamOptions(['ssl' => ['cafile' => getenv('PEER_AUTHORITY')]]);

$mail = (new Email())
    ->from(new Address(getenv('PEER_FROM') ?: 'shop@sender.example', 'Zoë Absender'))
    ->to(new Address('first@recipient.example', 'Erste'), 'second@recipient.example')
    ->cc('third@recipient.example')
    ->bcc('hidden@recipient.example')
    ->priority(Email::PRIORITY_NORMAL)
    ->subject('Grüße aus Zürich ✉ von Symfony Mailer')
    ->text("Grüße.\r\n.ein Punkt am Anfang\r\n..zwei Punkte\r\n.\r\nEnde\r\n")
    ->attach(str_repeat(implode('', array_map('chr', range(0, 255))), 40), 'Anhang ä.bin');
try {
    $sent = $transport->send($mail);
} catch (TransportExceptionInterface $error) {
    echo $error->getMessage(), "\n";
    exit(1);
}
// It ends each message with an empty line.
file_put_contents(getenv('PEER_WRITTEN'), $sent->toString() . "\r\n");
