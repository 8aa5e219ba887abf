"""Titles of Elixir's supervisor and dynamic supervisor tests, and what stands for each here.

An entry is either the names of tests in this folder or, in a string, why it does not apply.
"""

NAMES = "registration of process names; here an object reference or a path names a supervisor"
OLD_SPECS = "two generations of child specifications; here there is one frozen dataclass"
MODULES = "specifications derived from modules by macros; here a ChildSpec is written out"

SUPERVISOR = {
    "generates child_spec/1": MODULES,
    "child_spec/2": ("test_child_spec_defaults", "test_child_spec_contradictions"),
    "init/2": ("test_intensity_bounds", "test_supervisor_contradictions"),
    "init/2 with old and new child specs": OLD_SPECS,
    "start_link/2 with via": NAMES,
    "start_link/3 with global": NAMES,
    "start_link/3 with local": NAMES,
    "start_link/2": ("test_messages_survive_a_restart", "test_bad_arguments"),
    "start_link/2 with old and new specs": OLD_SPECS,
    "start_link/3": ("test_children_start_in_order_each_gated_on_ready",),
    "start_child/2 supports old child spec": OLD_SPECS,
    "start_child/2 supports new child spec as tuple": OLD_SPECS,
    "start_child/2 supports new child spec": ("test_child_life_cycle",),
    "start_child/2 with invalid child spec": ("test_child_spec_contradictions",),
    "child life-cycle": ("test_child_life_cycle",),
}

DYNAMIC_SUPERVISOR = {
    "can be supervised directly": ("test_can_be_supervised_and_reached_through_the_object",),
    "multiple supervisors can be supervised and identified with simple child spec": (
        "test_can_be_supervised_and_reached_through_the_object",
    ),
    "use/2 generates child_spec/1": MODULES,
    "init/1 set default options": ("test_intensity_bounds", "test_dynamic_supervisor_bounds"),
    "start_link/3 with non-ok init": (
        "test_intensity_bounds",
        "test_dynamic_supervisor_bounds",
        "test_a_failing_initial_is_a_crash_of_the_supervisor",
    ),
    "start_link/3 with registered process": NAMES,
    "start_link/3 with spawn_opt": "trio tasks have no spawn options",
    "start_link/3 sets initial call to the same as a regular supervisor": (
        "introspection of the BEAM's processes"
    ),
    "code_change/3 with non-ok init": "no code change in a running program",
    "code_change/3 with ok init": "no code change in a running program",
    "start_child/2 supports old child spec": OLD_SPECS,
    "start_child/2 supports new child spec as tuple": OLD_SPECS,
    "start_child/2 supports new child spec": (
        "test_can_be_supervised_and_reached_through_the_object",
    ),
    "start_child/2 supports extra arguments": "a run is a callable that carries its arguments",
    "start_child/2 with invalid child spec": (
        "test_child_spec_contradictions",
        "test_dynamic_supervisors_refuse_significant_children",
    ),
    "start_child/2 with different returns": ("test_start_child_with_different_outcomes",),
    "start_child/2 with throw/error/exit": ("test_start_child_with_different_outcomes",),
    "start_child/2 with max_children": (
        "test_max_children_counts_those_that_restart_and_rest",
        "test_dynamic_supervisor_bounds",
    ),
    "start_child/2 temporary child is not restarted regardless of reason": (
        "test_restart_types",
        "test_children_that_ended_for_good_are_removed",
    ),
    "start_child/2 transient child is restarted unless normal/shutdown/{shutdown, _}": (
        "test_restart_types",
        "test_children_that_ended_for_good_are_removed",
    ),
    "start_child/2 permanent child is restarted regardless of reason": ("test_restart_types",),
    "start_child/2 child is restarted with different values": (
        "test_a_child_that_restarts_into_failure_is_tried_again",
        "test_an_initial_child_that_fails_is_retried_and_those_after_it_wait",
    ),
    "start_child/2 restarting on init children counted in max_children": (
        "test_max_children_counts_those_that_restart_and_rest",
    ),
    "start_child/2 restarting on exit children counted in max_children": (
        "test_max_children_counts_those_that_restart_and_rest",
    ),
    "start_child/2 restarting a child with extra_arguments successfully restarts child": (
        "a run is a callable that carries its arguments"
    ),
    "start_child/2 child is restarted when trying again": (
        "test_a_child_that_restarts_into_failure_is_tried_again",
    ),
    "start_child/2 child triggers maximum restarts": (
        "test_the_budget_is_exceeded_by_one_restart_too_many",
    ),
    "start_child/2 child triggers maximum intensity when trying again": (
        "test_maximum_intensity_when_trying_again",
    ),
    "start_child/2 with valid shutdown": ("test_child_spec_contradictions",),
    "start_child/2 with invalid valid shutdown": ("test_child_spec_contradictions",),
    "terminate/2 terminates children with brutal kill": (
        "trio cannot kill a task; see test_a_child_that_outlives_its_stop_deadline_brings_the_"
        "tree_down and test_the_real_exit_code_of_an_overrun for what happens instead"
    ),
    "terminate/2 terminates children with infinity shutdown": (
        "test_budgets_multiply_across_levels",
        "test_child_spec_defaults",
        "test_children_stop_all_at_once",
    ),
    "terminate/2 terminates children with infinity shutdown and abnormal reason": (
        "test_crashes_while_stopping_come_out",
    ),
    "terminate/2 terminates children with integer shutdown": ("test_children_stop_all_at_once",),
    "terminate/2 terminates children with integer shutdown and abnormal reason": (
        "test_crashes_while_stopping_come_out",
    ),
    "terminate/2 terminates children with expired integer shutdown": (
        "test_a_stop_beyond_its_limit_is_told_and_raised",
        "test_a_child_that_outlives_its_stop_deadline_brings_the_tree_down",
    ),
    "terminate/2 terminates children with permanent restart and normal reason": (
        "test_permanent_children_that_return_when_stopped_do_not_come_back",
    ),
    "terminate/2 terminates with mixed children": ("test_children_stop_all_at_once",),
    "terminate_child/2 terminates child with brutal kill": (
        "trio cannot kill a task; see terminate/2 above"
    ),
    "terminate_child/2 terminates child with integer shutdown": (
        "test_terminate_and_restart_a_child",
    ),
    "terminate_child/2 terminates restarting child": (
        "test_terminate_a_child_that_waits_for_its_restart",
    ),
}
