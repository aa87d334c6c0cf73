//! The program as a process of its own, between scripted clients and scripted upstreams. Each file is a scenario, named
//! by what happens in it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cognitive_complexity,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests: a failure is a panic, a skip is printed"
)]

#[path = "../support"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod support {
    pub(crate) mod dialogue;
    pub(crate) mod fake_dns;
    pub(crate) mod fake_graph;
    pub(crate) mod fake_upstream;
    pub(crate) mod hook_server;
    pub(crate) mod http_server;
    pub(crate) mod identity_provider;
    pub(crate) mod peer;
    pub(crate) mod process;
    pub(crate) mod token_server;
}

mod report;
mod stage;

mod account_has_several_passwords;
mod account_is_known_by_its_network;
mod account_is_over_its_limits;
mod accounts_are_edited_on_the_command_line;
mod balancer_passes_clients_on;
mod bounce_of_a_bounce_is_not_sent;
mod client_claims_to_be_somebody_else;
mod client_disconnects_in_data;
mod client_guesses_passwords;
mod client_injects_into_the_header;
mod client_is_slow_or_silent;
mod client_logs_in_with_a_certificate;
mod client_logs_in_with_a_token;
mod client_makes_too_many_connections;
mod client_sends_an_odd_message;
mod client_sends_data_behind_starttls;
mod client_sends_too_much;
mod client_smuggles_a_second_message;
mod client_speaks_another_protocol;
mod client_tries_an_open_relay;
mod clients_ask_for_different_names;
mod configuration_is_open_to_others;
mod delivery_is_delayed;
mod domain_is_verified_by_its_record;
mod file_descriptors_run_out;
mod first_upstream_fails_and_comes_back;
mod lifetime_of_a_message_ends;
mod log_tells_everything;
mod mail_goes_through_graph;
mod mail_is_signed;
mod many_clients_do_nothing;
mod message_asks_for_a_priority;
mod message_has_many_recipients;
mod message_is_scheduled;
mod message_must_not_be_late;
mod message_requires_tls;
mod nobody_reads_the_log;
mod old_device_sends_mail;
mod one_message_poisons_its_attempts;
mod one_upstream_hangs;
mod operator_drains_an_upstream;
mod operator_kills_the_process;
mod operator_reloads;
mod operator_sends_a_test_message;
mod operator_stops_the_process;
mod operator_traces_a_message;
mod operator_turns_sending_off;
mod people_are_alerted;
mod port_is_taken_by_another_program;
mod recipients_take_different_routes;
mod second_process_starts_on_the_same_spool;
mod secret_or_certificate_expires;
mod sender_asks_for_reports;
mod sender_is_international;
mod sender_is_rewritten;
mod server_is_shut_in;
mod somebody_confirms_a_sender;
mod spool_fails;
mod spool_is_damaged;
mod spool_is_full;
mod unauthorized_mail_is_held;
mod upstream_closes_after_the_dot_without_a_reply;
mod upstream_does_not_know_international_addresses;
mod upstream_does_not_speak_tls_where_it_must;
mod upstream_greylists;
mod upstream_has_a_wrong_certificate;
mod upstream_is_down_and_comes_back;
mod upstream_is_parked;
mod upstream_knows_only_seven_bits;
mod upstream_never_answers;
mod upstream_refuses_one_of_three_recipients;
mod upstream_refuses_permanently;
mod upstream_refuses_the_login;
mod upstream_replies_without_end;
mod upstream_says_421_in_mid_transaction;
mod upstream_wants_a_token;
mod urgent_mail_comes_last;
