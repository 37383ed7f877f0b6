"""Addresses of the settings screens that belong to tickets."""

from django.urls import path

from tickets.workspace.views import (
    answer_settings,
    macro_settings,
    me,
    notifications,
    policies,
    rules,
    signatures,
    trials,
)

urlpatterns = [
    path("keys/", me.own_keys, name="own_keys"),
    path("notifications/", notifications.choices, name="notification_choices"),
    path("rules/", rules.rule_list, name="rules"),
    path("rules/new/", rules.rule, name="rule_new"),
    path("rules/builder/", rules.builder, name="builder"),
    path("rules/condition/", rules.condition_row, name="condition_row"),
    path("rules/trials/", trials.trials, name="rule_trials"),
    path("rules/trials/<int:trial_id>/", trials.trial, name="rule_trial"),
    path("rules/<int:rule_id>/", rules.rule, name="rule"),
    path("rules/<int:rule_id>/version/", rules.rule_version, name="rule_version"),
    path("rules/<int:rule_id>/position/", rules.rule_position, name="rule_position"),
    path("rules/<int:rule_id>/active/", rules.rule_active, name="rule_active"),
    path("answers/", answer_settings.answer_list, name="answer_list"),
    path("answers/<int:channel_id>/", answer_settings.answers, name="answers"),
    path("answers/<int:channel_id>/preview/", answer_settings.preview, name="answers_preview"),
    path("macros/", macro_settings.macro_list, name="macros"),
    path("macros/new/", macro_settings.macro, name="macro_new"),
    path("macros/preview/", macro_settings.macro_preview, name="macro_settings_preview"),
    path("macros/<int:macro_id>/", macro_settings.macro, name="macro"),
    path("macros/<int:macro_id>/deletion/", macro_settings.macro_deletion, name="macro_deletion"),
    path("signatures/", signatures.signature_list, name="signatures"),
    path("sla/", policies.policy_list, name="policies"),
    path("sla/new/", policies.policy, name="policy_new"),
    path("sla/example/", policies.example, name="policy_example"),
    path("sla/<int:policy_id>/", policies.policy, name="policy"),
    path("sla/<int:policy_id>/application/", policies.application, name="policy_application"),
]
