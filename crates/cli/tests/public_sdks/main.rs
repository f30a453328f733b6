//! The public SDKs, installed from their registries, drive `codex exec` unchanged.
//!
//! A case is a function that plays scripts in a [`room::Room`]: a scripted provider, a home, and one
//! of the two packages with its driver (`drive.mjs`, `drive.py`). The list below makes a test of each
//! case and package; what only one of them offers stands in its own list. `cargo xtask test` installs
//! the packages and prints every case by its name; without them these tests say that they are left
//! out, and under CI they fail.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot prepare stops there"
)]

mod faults;
mod items;
mod options;
mod room;
mod sandbox;
mod turns;

macro_rules! case {
    ($sdk:ident $group:ident $case:ident) => {
        #[test]
        fn $case() {
            crate::room::enter(
                crate::room::Sdk::$sdk,
                stringify!($case),
                crate::$group::$case,
            );
        }
    };
}

macro_rules! cases {
    (
        both { $($both:ident: $($case:ident),+;)+ }
        typescript { $($typescript:ident: $($ts_case:ident),+;)+ }
        python { $($python:ident: $($py_case:ident),+;)+ }
    ) => {
        mod typescript {
            $($(case!(TypeScript $both $case);)+)+
            $($(case!(TypeScript $typescript $ts_case);)+)+
        }
        mod python {
            $($(case!(Python $both $case);)+)+
            $($(case!(Python $python $py_case);)+)+
        }
    };
}

cases! {
    both {
        turns:
            a_run_returns_the_answer_the_usage_and_the_items,
            a_streamed_run_tells_every_event_in_order,
            turns_of_one_thread_know_what_was_said,
            a_resumed_thread_knows_what_was_said,
            the_last_thread_can_be_resumed,
            a_thread_that_is_not_there_cannot_be_resumed,
            a_resumed_thread_takes_new_options,
            two_threads_run_at_once,
            texts_of_one_input_are_joined,
            a_large_prompt_arrives_whole,
            usage_sums_the_requests_of_one_turn,
            one_picture_goes_along,
            pictures_go_along_in_order_and_with_a_resumed_thread,
            a_picture_that_is_not_there_is_an_error,
            an_output_schema_reaches_the_provider,
            an_answer_that_breaks_the_schema_is_told,
            a_schema_that_the_provider_refuses_is_an_error;
        options:
            the_model_and_each_effort_reach_the_request,
            each_approval_policy_is_taken_and_nobody_is_asked,
            the_working_directory_is_where_commands_run,
            a_working_directory_that_is_not_there_is_an_error,
            a_folder_without_git_wants_the_check_skipped,
            web_search_follows_its_switch,
            the_base_url_and_the_key_are_used,
            the_environment_is_the_given_one;
        sandbox:
            read_only_holds_every_write,
            workspace_write_opens_the_working_directory,
            full_access_opens_everything,
            an_additional_directory_can_be_written,
            the_network_follows_its_switch;
        items:
            reasoning_is_an_item,
            a_command_that_ends_well_is_completed,
            a_command_that_fails_has_its_exit_code,
            a_command_that_wants_out_of_the_sandbox_is_declined,
            a_large_output_of_a_command_fits_the_reader,
            a_patch_adds_changes_moves_and_deletes,
            a_patch_that_does_not_fit_is_a_failed_change,
            a_call_of_an_mcp_tool_has_its_result,
            an_mcp_tool_that_fails_keeps_its_words,
            an_mcp_call_that_is_refused_says_what_allows_it,
            a_plan_starts_changes_and_ends_with_its_turn,
            a_web_search_is_an_item,
            a_server_that_does_not_start_is_an_error_item;
        faults:
            a_key_that_is_refused_fails_the_turn,
            a_request_that_is_refused_fails_with_the_providers_words,
            a_rate_limit_is_waited_for,
            a_quota_that_is_used_up_fails_the_turn,
            a_provider_that_breaks_fails_the_turn_after_its_tries,
            a_stream_that_is_cut_is_tried_again,
            a_response_that_fails_fails_the_turn,
            a_turn_after_a_failed_one_goes_on,
            a_required_server_that_fails_is_an_error,
            an_abort_before_the_start_asks_nobody,
            an_abort_ends_the_run_and_its_servers,
            an_abort_ends_a_running_command,
            leaving_the_stream_ends_the_run;
    }
    typescript {
        turns: an_answer_of_half_a_megabyte_arrives_whole;
        options:
            config_overrides_reach_the_config,
            each_mode_of_web_search_is_offered,
            the_source_of_a_thread_is_kept,
            a_program_of_cyber_access_is_taken,
            an_option_that_is_not_known_is_an_error;
    }
    python {
        items: an_item_of_every_type_passes_the_typed_models;
    }
}
