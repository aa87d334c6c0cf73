# Submits one message with Perl's Net::SMTP. Settings come from the environment, as in submit.py; PEER_MESSAGE names the
# file that is sent.

use strict;
use warnings;
use Authen::SASL;
use IO::Socket::SSL;
use Net::SMTP;

sub wrong {
    my ($smtp, $step) = @_;
    die "$step: " . $smtp->code . " " . $smtp->message;
}

my @tls = (
    SSL_ca_file         => $ENV{PEER_AUTHORITY},
    SSL_verify_mode     => SSL_VERIFY_PEER,
    SSL_verifycn_scheme => 'smtp',
    SSL_verifycn_name   => $ENV{PEER_HOST},
);
my $is_implicit = $ENV{PEER_TLS} eq 'implicit';
my $smtp = Net::SMTP->new(
    $ENV{PEER_HOST},
    Port    => $ENV{PEER_PORT},
    Hello   => 'client.example',
    Timeout => 30,
    $is_implicit ? (SSL => 1, @tls) : (),
) or die "no connection: $@ $IO::Socket::SSL::SSL_ERROR";
$is_implicit or $smtp->starttls(@tls) or wrong($smtp, 'STARTTLS');
my $login = Authen::SASL->new(
    mechanism => $ENV{PEER_AUTH},
    callback  => { user => $ENV{PEER_USER}, authname => $ENV{PEER_USER}, pass => $ENV{PEER_PASSWORD} },
);
$smtp->auth($login) or wrong($smtp, 'AUTH');
open my $file, '<:raw', $ENV{PEER_MESSAGE} or die $!;
my $message = do { local $/; <$file> };
$smtp->mail($ENV{PEER_FROM}) or wrong($smtp, 'MAIL');
$smtp->to(split /,/, $ENV{PEER_TO}) or wrong($smtp, 'RCPT');
$smtp->data($message) or wrong($smtp, 'DATA');
$smtp->quit;
