# Submits one message with Ruby's net/smtp, which Rails sends with. Settings come from the environment, as in submit.py;
# PEER_MESSAGE names the file that is sent.

require "net/smtp"
require "openssl"

context = OpenSSL::SSL::SSLContext.new
context.set_params(ca_file: ENV.fetch("PEER_AUTHORITY"), verify_mode: OpenSSL::SSL::VERIFY_PEER, verify_hostname: true)
smtp = Net::SMTP.new(ENV.fetch("PEER_HOST"), ENV.fetch("PEER_PORT").to_i)
if ENV.fetch("PEER_TLS") == "implicit"
  smtp.enable_tls(context)
else
  smtp.enable_starttls(context)
end
mechanism = ENV.fetch("PEER_AUTH").downcase.to_sym
smtp.start("client.example", ENV.fetch("PEER_USER"), ENV.fetch("PEER_PASSWORD"), mechanism) do |session|
  session.send_message(File.binread(ENV.fetch("PEER_MESSAGE")), ENV.fetch("PEER_FROM"), *ENV.fetch("PEER_TO").split(","))
end
