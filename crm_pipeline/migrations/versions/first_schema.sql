CREATE TABLE crm.churn_models (
	tenant_id TEXT NOT NULL,
	fitted_at TIMESTAMP WITH TIME ZONE NOT NULL,
	is_fallback BOOLEAN NOT NULL,
	r DOUBLE PRECISION NOT NULL,
	alpha DOUBLE PRECISION NOT NULL,
	a DOUBLE PRECISION NOT NULL,
	b DOUBLE PRECISION NOT NULL,
	log_likelihood DOUBLE PRECISION NOT NULL,
	spend JSONB,
	season JSONB,
	members JSONB NOT NULL,
	tiers JSONB NOT NULL,
	visitors BIGINT NOT NULL,
	repeaters BIGINT NOT NULL,
	rounds BIGINT NOT NULL,
	members_a_year_ago BIGINT NOT NULL,
	lapses BIGINT NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, fitted_at)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.churn_models IS 'Parameters of every fit of the churn model, per club and for all clubs pooled.';
COMMENT ON COLUMN crm.churn_models.tenant_id IS 'The club; empty for all clubs pooled, which serve a club without a model.';
COMMENT ON COLUMN crm.churn_models.fitted_at IS 'The version: as_of of the fit. A refresh applies the latest up to its own.';
COMMENT ON COLUMN crm.churn_models.is_fallback IS 'Whether r, alpha, a, b are the pool''s, because the club''s own did not beat the base rate.';
COMMENT ON COLUMN crm.churn_models.r IS 'MBG/NBD: shape of the rates visitors come at.';
COMMENT ON COLUMN crm.churn_models.alpha IS 'MBG/NBD: their scale, in days of the clock.';
COMMENT ON COLUMN crm.churn_models.a IS 'MBG/NBD: how readily visitors drop out after a visit.';
COMMENT ON COLUMN crm.churn_models.b IS 'MBG/NBD: how readily they stay.';
COMMENT ON COLUMN crm.churn_models.log_likelihood IS 'Of the visits the four were fitted to.';
COMMENT ON COLUMN crm.churn_models.spend IS 'Gamma-Gamma p, q, v, the latter in cents; null without anybody who paid twice.';
COMMENT ON COLUMN crm.churn_models.season IS 'The seasonal clock: days'' worth of a day, January to December; null for plain days.';
COMMENT ON COLUMN crm.churn_models.members IS 'sBG gamma and delta, and the log odds each sign adds.';
COMMENT ON COLUMN crm.churn_models.tiers IS 'gamma and delta of each membership tier.';
COMMENT ON COLUMN crm.churn_models.visitors IS 'Visitors without a membership the fit has seen.';
COMMENT ON COLUMN crm.churn_models.repeaters IS 'Those of them who paid on two days or more.';
COMMENT ON COLUMN crm.churn_models.rounds IS 'Rounds in the club''s full months, which the clock needs 200 of.';
COMMENT ON COLUMN crm.churn_models.members_a_year_ago IS 'Members whose year since then is known.';
COMMENT ON COLUMN crm.churn_models.lapses IS 'Those of them who have lapsed; the signs need 50.';
COMMENT ON COLUMN crm.churn_models.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.customer_identities (
	tenant_id TEXT NOT NULL,
	service TEXT NOT NULL,
	service_record_id TEXT NOT NULL,
	profile_id UUID NOT NULL,
	is_primary BOOLEAN NOT NULL,
	rule TEXT NOT NULL,
	confidence DOUBLE PRECISION NOT NULL,
	linked_to_service TEXT,
	linked_to_record_id TEXT,
	email_is_shared BOOLEAN NOT NULL,
	phone_is_shared BOOLEAN NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, service, service_record_id)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.customer_identities IS 'Every record of every service, the profile it belongs to, and the evidence for the link.';
COMMENT ON COLUMN crm.customer_identities.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.customer_identities.service IS 'Service of the record.';
COMMENT ON COLUMN crm.customer_identities.service_record_id IS 'Id of the record in its service.';
COMMENT ON COLUMN crm.customer_identities.profile_id IS 'The profile the record belongs to.';
COMMENT ON COLUMN crm.customer_identities.is_primary IS 'Whether it is the service''s primary record of the profile.';
COMMENT ON COLUMN crm.customer_identities.rule IS 'Why the record belongs to the profile.';
COMMENT ON COLUMN crm.customer_identities.confidence IS 'Confidence of that one link.';
COMMENT ON COLUMN crm.customer_identities.linked_to_service IS 'Service of the next record towards the anchor; null for the anchor.';
COMMENT ON COLUMN crm.customer_identities.linked_to_record_id IS 'Id of the next record towards the anchor; null for the anchor.';
COMMENT ON COLUMN crm.customer_identities.email_is_shared IS 'Whether its email is shared by too many, or suppressed, and so no evidence.';
COMMENT ON COLUMN crm.customer_identities.phone_is_shared IS 'Whether its phone is shared by too many, or suppressed, and so no evidence.';
COMMENT ON COLUMN crm.customer_identities.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.identity_reviews (
	tenant_id TEXT NOT NULL,
	review_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	service_a TEXT,
	record_id_a TEXT,
	service_b TEXT,
	record_id_b TEXT,
	reason TEXT NOT NULL,
	witness JSONB NOT NULL,
	settled_by JSONB NOT NULL,
	opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
	closed_at TIMESTAMP WITH TIME ZONE,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, review_id)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.identity_reviews IS 'Identity questions for a person: what was refused or looks odd, why, and what would settle it.';
COMMENT ON COLUMN crm.identity_reviews.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.identity_reviews.review_id IS 'Hash of kind and subjects: the same question keeps its id.';
COMMENT ON COLUMN crm.identity_reviews.kind IS 'What is asked.';
COMMENT ON COLUMN crm.identity_reviews.service_a IS 'Service of the first record; null for a shared value.';
COMMENT ON COLUMN crm.identity_reviews.record_id_a IS 'Id of the first record.';
COMMENT ON COLUMN crm.identity_reviews.service_b IS 'Service of the second record.';
COMMENT ON COLUMN crm.identity_reviews.record_id_b IS 'Id of the second record.';
COMMENT ON COLUMN crm.identity_reviews.reason IS 'Why it is asked, in words.';
COMMENT ON COLUMN crm.identity_reviews.witness IS 'The records and rule that stand against the link, or the records that share the value.';
COMMENT ON COLUMN crm.identity_reviews.settled_by IS 'The IdentityOverride or SuppressedIdentifier row that would settle it.';
COMMENT ON COLUMN crm.identity_reviews.opened_at IS 'as_of of the run that first asked.';
COMMENT ON COLUMN crm.identity_reviews.closed_at IS 'as_of of the run that found it settled; null while open.';
COMMENT ON COLUMN crm.identity_reviews.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.profile_events (
	tenant_id TEXT NOT NULL,
	event_id TEXT NOT NULL,
	profile_id UUID NOT NULL,
	event_type TEXT NOT NULL,
	other_profile_id UUID,
	occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
	run_id TEXT NOT NULL,
	reason TEXT NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, event_id)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.profile_events IS 'The life of every profile id.';
COMMENT ON COLUMN crm.profile_events.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.profile_events.event_id IS 'Hash of profile, kind, time and partner.';
COMMENT ON COLUMN crm.profile_events.profile_id IS 'The profile id it happened to.';
COMMENT ON COLUMN crm.profile_events.event_type IS 'What happened.';
COMMENT ON COLUMN crm.profile_events.other_profile_id IS 'MERGED: the id it now redirects to; SPLIT: the id that left.';
COMMENT ON COLUMN crm.profile_events.occurred_at IS 'as_of of the run that saw it.';
COMMENT ON COLUMN crm.profile_events.run_id IS 'The run that saw it.';
COMMENT ON COLUMN crm.profile_events.reason IS 'Why, in words.';
COMMENT ON COLUMN crm.profile_events.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.profile_ids (
	tenant_id TEXT NOT NULL,
	profile_id UUID NOT NULL,
	birth_order BIGINT NOT NULL,
	minted_service TEXT NOT NULL,
	minted_record_id TEXT NOT NULL,
	generation BIGINT NOT NULL,
	anchor_service TEXT NOT NULL,
	anchor_record_id TEXT NOT NULL,
	redirects_to UUID,
	is_live BOOLEAN NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, profile_id)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.profile_ids IS 'Every profile id ever made, the record it is anchored at, and where it redirects to.';
COMMENT ON COLUMN crm.profile_ids.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.profile_ids.profile_id IS 'The id.';
COMMENT ON COLUMN crm.profile_ids.birth_order IS 'Order of birth within the tenant, from 0.';
COMMENT ON COLUMN crm.profile_ids.minted_service IS 'Service of the record the id was made from.';
COMMENT ON COLUMN crm.profile_ids.minted_record_id IS 'Id of the record the id was made from.';
COMMENT ON COLUMN crm.profile_ids.generation IS 'How many ids were made from that record before.';
COMMENT ON COLUMN crm.profile_ids.anchor_service IS 'Service of the id''s anchor record now.';
COMMENT ON COLUMN crm.profile_ids.anchor_record_id IS 'Id of the id''s anchor record now.';
COMMENT ON COLUMN crm.profile_ids.redirects_to IS 'The live id it redirects to; null when live or retired.';
COMMENT ON COLUMN crm.profile_ids.is_live IS 'Whether it is a profile now.';
COMMENT ON COLUMN crm.profile_ids.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.quarantined_records (
	quarantine_id TEXT NOT NULL,
	tenant_id TEXT,
	service TEXT NOT NULL,
	table_name TEXT NOT NULL,
	service_record_id TEXT,
	column_name TEXT,
	reason TEXT NOT NULL,
	found_by TEXT NOT NULL,
	first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
	last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (quarantine_id)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.quarantined_records IS 'Records and values set aside, and why. A row leaves when the source is mended.';
COMMENT ON COLUMN crm.quarantined_records.quarantine_id IS 'Hash of where and why.';
COMMENT ON COLUMN crm.quarantined_records.tenant_id IS 'The club; null where unknown.';
COMMENT ON COLUMN crm.quarantined_records.service IS 'Service of the record.';
COMMENT ON COLUMN crm.quarantined_records.table_name IS 'Table of the record.';
COMMENT ON COLUMN crm.quarantined_records.service_record_id IS 'Id of the record; null where it has none.';
COMMENT ON COLUMN crm.quarantined_records.column_name IS 'The column at fault; null for the whole record.';
COMMENT ON COLUMN crm.quarantined_records.reason IS 'What is wrong.';
COMMENT ON COLUMN crm.quarantined_records.found_by IS 'The asset that found it.';
COMMENT ON COLUMN crm.quarantined_records.first_seen_at IS 'as_of of the first run that saw it.';
COMMENT ON COLUMN crm.quarantined_records.last_seen_at IS 'as_of of the last run that saw it.';
COMMENT ON COLUMN crm.quarantined_records.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.publications (
	table_name TEXT NOT NULL,
	tenant_id TEXT NOT NULL,
	run_id TEXT NOT NULL,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	rows BIGINT NOT NULL,
	version BIGINT NOT NULL,
	published_at TIMESTAMP WITH TIME ZONE NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (table_name, tenant_id)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.publications IS 'What each tenant''s tables were last published from, and how old each service''s snapshot is.';
COMMENT ON COLUMN crm.publications.table_name IS 'The published table, or SERVICE.snapshot for a service''s snapshot.';
COMMENT ON COLUMN crm.publications.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.publications.run_id IS 'The run that published.';
COMMENT ON COLUMN crm.publications.as_of IS 'The hour the data speak of.';
COMMENT ON COLUMN crm.publications.rows IS 'Rows of the tenant in the table.';
COMMENT ON COLUMN crm.publications.version IS 'Version of the lake''s rows that was published.';
COMMENT ON COLUMN crm.publications.published_at IS 'When the publication was committed.';
COMMENT ON COLUMN crm.publications.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.data_quality_results (
	tenant_id TEXT NOT NULL,
	suite TEXT NOT NULL,
	expectation TEXT NOT NULL,
	success BOOLEAN NOT NULL,
	is_critical BOOLEAN NOT NULL,
	unexpected_count BIGINT NOT NULL,
	rows BIGINT NOT NULL,
	observed TEXT,
	checked_at TIMESTAMP WITH TIME ZONE NOT NULL,
	run_id TEXT NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, suite, expectation)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.data_quality_results IS 'The latest result of every expectation, per tenant.';
COMMENT ON COLUMN crm.data_quality_results.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.data_quality_results.suite IS 'The table that was checked; tables_agree or as_usual for what is beyond one table.';
COMMENT ON COLUMN crm.data_quality_results.expectation IS 'The expectation, with its column.';
COMMENT ON COLUMN crm.data_quality_results.success IS 'Whether it held.';
COMMENT ON COLUMN crm.data_quality_results.is_critical IS 'Whether a failure keeps the tenant from being published.';
COMMENT ON COLUMN crm.data_quality_results.unexpected_count IS 'Rows that broke it.';
COMMENT ON COLUMN crm.data_quality_results.rows IS 'Rows it looked at; days of history for as_usual.';
COMMENT ON COLUMN crm.data_quality_results.observed IS 'What was found instead, with what was expected; null where the rows say it.';
COMMENT ON COLUMN crm.data_quality_results.checked_at IS 'as_of of the run that checked.';
COMMENT ON COLUMN crm.data_quality_results.run_id IS 'The run that checked.';
COMMENT ON COLUMN crm.data_quality_results.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.forgotten_totals (
	tenant_id TEXT NOT NULL,
	year BIGINT NOT NULL,
	currency TEXT NOT NULL,
	amount_cents BIGINT NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, year, currency)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.forgotten_totals IS 'Money of people who were forgotten, as sums without anybody''s id: add it to the timeline''s.';
COMMENT ON COLUMN crm.forgotten_totals.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.forgotten_totals.year IS 'Calendar year in UTC.';
COMMENT ON COLUMN crm.forgotten_totals.currency IS 'ISO 4217 code.';
COMMENT ON COLUMN crm.forgotten_totals.amount_cents IS 'Money that came in less refunds, in hundredths of the currency''s unit.';
COMMENT ON COLUMN crm.forgotten_totals.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.customer_profiles (
	tenant_id TEXT NOT NULL,
	id UUID NOT NULL,
	auth_user_id TEXT,
	email TEXT,
	phone_number TEXT,
	scl_member_id BIGINT,
	teetime_player_id TEXT,
	messaging_contact_id TEXT,
	first_name TEXT,
	last_name TEXT,
	display_name TEXT,
	status TEXT NOT NULL,
	lifecycle_stage TEXT NOT NULL,
	tags TEXT[] NOT NULL,
	engagement_score BIGINT NOT NULL,
	churn_risk_score BIGINT,
	churn_basis TEXT NOT NULL,
	lifetime_value BIGINT NOT NULL,
	currency TEXT NOT NULL,
	predicted_value_12m BIGINT,
	last_activity_at TIMESTAMP WITH TIME ZONE,
	activity_count_30d BIGINT NOT NULL,
	booking_count_30d BIGINT NOT NULL,
	handicap NUMERIC(5, 1),
	home_club_id TEXT,
	membership_tier TEXT,
	membership_status TEXT,
	email_opt_in BOOLEAN NOT NULL,
	sms_opt_in BOOLEAN NOT NULL,
	push_opt_in BOOLEAN NOT NULL,
	whatsapp_opt_in BOOLEAN NOT NULL,
	identity_confidence DOUBLE PRECISION NOT NULL,
	engagement_reasons JSONB NOT NULL,
	churn_reasons JSONB,
	field_sources JSONB NOT NULL,
	first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, id)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.customer_profiles IS 'One row per person and club: who they are, what they agreed to, how they are doing.';
COMMENT ON COLUMN crm.customer_profiles.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.customer_profiles.id IS 'The CRM''s own UUID of the person at this club.';
COMMENT ON COLUMN crm.customer_profiles.auth_user_id IS 'Id at the identity provider, the strongest link.';
COMMENT ON COLUMN crm.customer_profiles.email IS 'Normalised email address.';
COMMENT ON COLUMN crm.customer_profiles.phone_number IS 'Phone number in E.164.';
COMMENT ON COLUMN crm.customer_profiles.scl_member_id IS 'Primary SCL member.';
COMMENT ON COLUMN crm.customer_profiles.teetime_player_id IS 'Primary TeeTime player.';
COMMENT ON COLUMN crm.customer_profiles.messaging_contact_id IS 'Primary Messaging contact.';
COMMENT ON COLUMN crm.customer_profiles.first_name IS 'First name.';
COMMENT ON COLUMN crm.customer_profiles.last_name IS 'Last name.';
COMMENT ON COLUMN crm.customer_profiles.display_name IS 'First and last name, else email, else phone.';
COMMENT ON COLUMN crm.customer_profiles.status IS 'One-word state.';
COMMENT ON COLUMN crm.customer_profiles.lifecycle_stage IS 'How far the customer has come.';
COMMENT ON COLUMN crm.customer_profiles.tags IS 'Tags staff put on the customer, sorted.';
COMMENT ON COLUMN crm.customer_profiles.engagement_score IS 'How engaged, 0 to 100.';
COMMENT ON COLUMN crm.customer_profiles.churn_risk_score IS 'Percent risk of leaving within a year; null without any signal.';
COMMENT ON COLUMN crm.customer_profiles.churn_basis IS 'The model behind the churn risk.';
COMMENT ON COLUMN crm.customer_profiles.lifetime_value IS 'Settled payments less refunds, in cents of `currency`.';
COMMENT ON COLUMN crm.customer_profiles.currency IS 'ISO 4217 code of the tenant''s money.';
COMMENT ON COLUMN crm.customer_profiles.predicted_value_12m IS 'Expected spend in the next 365 days, in cents; null without signal.';
COMMENT ON COLUMN crm.customer_profiles.last_activity_at IS 'Latest thing the customer did.';
COMMENT ON COLUMN crm.customer_profiles.activity_count_30d IS 'Things the customer did in the last 30 days.';
COMMENT ON COLUMN crm.customer_profiles.booking_count_30d IS 'Bookings made in the last 30 days, less cancelled ones.';
COMMENT ON COLUMN crm.customer_profiles.handicap IS 'Handicap index, from TeeTime.';
COMMENT ON COLUMN crm.customer_profiles.home_club_id IS 'Home club, from TeeTime.';
COMMENT ON COLUMN crm.customer_profiles.membership_tier IS 'Membership tier, from SCL.';
COMMENT ON COLUMN crm.customer_profiles.membership_status IS 'Membership status, from SCL.';
COMMENT ON COLUMN crm.customer_profiles.email_opt_in IS 'Agreed to email; from Messaging only.';
COMMENT ON COLUMN crm.customer_profiles.sms_opt_in IS 'Agreed to SMS; from Messaging only.';
COMMENT ON COLUMN crm.customer_profiles.push_opt_in IS 'Agreed to push messages; from Messaging only.';
COMMENT ON COLUMN crm.customer_profiles.whatsapp_opt_in IS 'Agreed to WhatsApp; from Messaging only.';
COMMENT ON COLUMN crm.customer_profiles.identity_confidence IS 'Smallest confidence among the profile''s links.';
COMMENT ON COLUMN crm.customer_profiles.engagement_reasons IS 'Points of each group; they add up to the unrounded engagement score.';
COMMENT ON COLUMN crm.customer_profiles.churn_reasons IS 'What the churn risk is made of.';
COMMENT ON COLUMN crm.customer_profiles.field_sources IS 'Per field, the record its value came from.';
COMMENT ON COLUMN crm.customer_profiles.first_seen_at IS 'Earliest creation time among the profile''s records.';
COMMENT ON COLUMN crm.customer_profiles.updated_at IS 'as_of of the run in which the row last changed.';
COMMENT ON COLUMN crm.customer_profiles.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.customer_timeline (
	tenant_id TEXT NOT NULL,
	event_id TEXT NOT NULL,
	profile_id UUID NOT NULL,
	occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
	source TEXT NOT NULL,
	event_type TEXT NOT NULL,
	service_record_id TEXT NOT NULL,
	counts_as TEXT,
	amount_cents BIGINT,
	currency TEXT,
	summary TEXT NOT NULL,
	details JSONB NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id, event_id)
)
 PARTITION BY LIST (tenant_id);
CREATE INDEX customer_timeline_by_profile ON crm.customer_timeline (tenant_id, profile_id, occurred_at desc);
COMMENT ON TABLE crm.customer_timeline IS 'Everything a customer did or was sent, from all services, in one stream.';
COMMENT ON COLUMN crm.customer_timeline.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.customer_timeline.event_id IS 'Service, record and kind of event: the same event keeps its id.';
COMMENT ON COLUMN crm.customer_timeline.profile_id IS 'The profile.';
COMMENT ON COLUMN crm.customer_timeline.occurred_at IS 'When it happened.';
COMMENT ON COLUMN crm.customer_timeline.source IS 'The service it came from.';
COMMENT ON COLUMN crm.customer_timeline.event_type IS 'What happened.';
COMMENT ON COLUMN crm.customer_timeline.service_record_id IS 'Id of the record the event was made from.';
COMMENT ON COLUMN crm.customer_timeline.counts_as IS 'How it enters counts and scores; null where it does not.';
COMMENT ON COLUMN crm.customer_timeline.amount_cents IS 'Money that came in, negative for a refund.';
COMMENT ON COLUMN crm.customer_timeline.currency IS 'ISO 4217 code of the amount.';
COMMENT ON COLUMN crm.customer_timeline.summary IS 'The event in one readable line.';
COMMENT ON COLUMN crm.customer_timeline.details IS 'What else the record says.';
COMMENT ON COLUMN crm.customer_timeline.row_hash IS 'Hash of the row, for comparing it with the lake.';
CREATE TABLE crm.publication_states (
	table_name TEXT NOT NULL,
	tenant_id TEXT NOT NULL,
	lake_id TEXT NOT NULL,
	checksum NUMERIC NOT NULL,
	PRIMARY KEY (table_name, tenant_id)
);
COMMENT ON TABLE crm.publication_states IS 'The pipeline''s own: what each publication was made from.';
COMMENT ON COLUMN crm.publication_states.table_name IS 'The published table.';
COMMENT ON COLUMN crm.publication_states.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.publication_states.lake_id IS 'The lake the version is of.';
COMMENT ON COLUMN crm.publication_states.checksum IS 'Sum of the rows'' hashes.';
create view crm.profile_redirects as
    select tenant_id, profile_id, redirects_to from crm.profile_ids where redirects_to is not null;
comment on view crm.profile_redirects is 'Former profile ids and the live profile each now means.';
