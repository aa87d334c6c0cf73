// Submits one message with Nodemailer and writes down the content that it sent. Settings come from the environment, as
// in submit.py, and PEER_LIBRARY: the folder of Nodemailer.
"use strict";

const fs = require("node:fs");
const { Transform } = require("node:stream");

const environment = process.env;
const nodemailer = require(environment.PEER_LIBRARY);

const transport = nodemailer.createTransport({
  host: environment.PEER_HOST,
  port: Number(environment.PEER_PORT),
  secure: environment.PEER_TLS === "implicit",
  requireTLS: environment.PEER_TLS === "starttls",
  authMethod: environment.PEER_AUTH,
  auth: { user: environment.PEER_USER, pass: environment.PEER_PASSWORD },
  tls: { ca: fs.readFileSync(environment.PEER_AUTHORITY) },
  connectionTimeout: 30000,
  socketTimeout: 30000,
});

const written = [];

// Keeps the content on its way to the connection, and the Bcc field that Nodemailer would drop: the relay has to.
transport.use("stream", (mail, callback) => {
  mail.message.keepBcc = true;
  mail.message.transform(
    () =>
      new Transform({
        transform(chunk, _encoding, done) {
          written.push(chunk);
          done(null, chunk);
        },
      }),
  );
  callback();
});

const bytes = Buffer.alloc(256 * 40);
for (let index = 0; index < bytes.length; index += 1) {
  bytes[index] = index % 256;
}

const message = {
  from: '"Zoë Absender" <shop@sender.example>',
  to: ["Erste <first@recipient.example>", "second@recipient.example"],
  cc: "third@recipient.example",
  bcc: "hidden@recipient.example",
  subject: "Grüße aus Zürich ✉ von Nodemailer",
  text: "Grüße.\n.ein Punkt am Anfang\n..zwei Punkte\n.\nEnde\n",
  attachments: [{ filename: "Anhang ä.bin", content: bytes }],
};

transport.sendMail(message).then(
  () => fs.writeFileSync(environment.PEER_WRITTEN, Buffer.concat(written)),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
