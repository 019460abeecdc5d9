CREATE TABLE IF NOT EXISTS crm.tenant_refreshes (
	tenant_id TEXT NOT NULL,
	status TEXT,
	unpublished_reason TEXT,
	as_of TIMESTAMP WITH TIME ZONE NOT NULL,
	refreshed_at TIMESTAMP WITH TIME ZONE NOT NULL,
	run_id TEXT NOT NULL,
	row_hash BIGINT,
	PRIMARY KEY (tenant_id)
)
 WITH (fillfactor = 90);
COMMENT ON TABLE crm.tenant_refreshes IS 'The last refresh of each club, whether it was published or not; view tenant_freshness says what follows.';
COMMENT ON COLUMN crm.tenant_refreshes.tenant_id IS 'The club.';
COMMENT ON COLUMN crm.tenant_refreshes.status IS 'Its status in the CRM; null where its Tenant row is wrong or gone.';
COMMENT ON COLUMN crm.tenant_refreshes.unpublished_reason IS 'Why the refresh did not publish it; null where it did, and for a closed club.';
COMMENT ON COLUMN crm.tenant_refreshes.as_of IS 'The hour of the refresh.';
COMMENT ON COLUMN crm.tenant_refreshes.refreshed_at IS 'When the refresh ended.';
COMMENT ON COLUMN crm.tenant_refreshes.run_id IS 'The run that refreshed it.';
COMMENT ON COLUMN crm.tenant_refreshes.row_hash IS 'Hash of the row, for comparing it with the lake.';
create or replace view crm.tenant_freshness as
        select tenant_id, state, case state when 'CLOSED' then 'Closed in the CRM: what was published last stays.' when 'NEVER_PUBLISHED' then concat('Nothing has been published: ', coalesce(unpublished_reason, 'the next refresh does it')) when 'STUCK' then concat('The tables keep ', to_char(as_of at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), ': ', unpublished_reason) when 'LATE' then concat('No refresh since ', to_char(refreshed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), '.') when 'FRESH' then 'Published by the last refresh.' end as reason, as_of,
            published_at, refreshed_at, status, profiles, timeline_events
        from (
            select facts.*, case when status = 'CLOSED' then 'CLOSED' when as_of is null then 'NEVER_PUBLISHED' when unpublished_reason is not null then 'STUCK' when is_late then 'LATE' when true then 'FRESH' end as state
            from (
                select r.tenant_id, r.status, r.unpublished_reason, r.refreshed_at, p.as_of, p.published_at, p.profiles,
                    p.timeline_events, r.refreshed_at < now() - interval '7200 seconds' as is_late
                from crm.tenant_refreshes r
                left join (
                    select tenant_id, max(as_of) as as_of, max(published_at) as published_at,
                        max(rows) filter (where table_name = 'customer_profiles') as profiles,
                        max(rows) filter (where table_name = 'customer_timeline') as timeline_events
                    from crm.publications
                    where table_name in ('customer_profiles', 'customer_timeline')
                    group by tenant_id) p on p.tenant_id = r.tenant_id) facts) states;
comment on view crm.tenant_freshness is 'What each club''s tables speak of, and why not a later hour. As of the moment it is read.';
comment on column crm.tenant_freshness.tenant_id is 'The club.';
comment on column crm.tenant_freshness.state is 'FRESH: published by its last refresh. LATE: no refresh for two hours. STUCK: the last refresh did not publish it. NEVER_PUBLISHED: none ever did. CLOSED: the CRM says so.';
comment on column crm.tenant_freshness.reason is 'The state in words: what holds the club, and which hour its tables keep.';
comment on column crm.tenant_freshness.as_of is 'The hour its profiles and timeline speak of; null before anything is published.';
comment on column crm.tenant_freshness.published_at is 'When a row of them last changed; null before anything is published.';
comment on column crm.tenant_freshness.refreshed_at is 'When its last refresh ended.';
comment on column crm.tenant_freshness.status is 'Its status in the CRM; null where its Tenant row is wrong.';
comment on column crm.tenant_freshness.profiles is 'Profiles published; null before anything is.';
comment on column crm.tenant_freshness.timeline_events is 'Events published; null before anything is.';
create or replace view crm.service_freshness as
        select tenant_id, service, state, case state when 'NEVER_READ' then 'Never read.' when 'FAILED' then concat('Not read since ', to_char(as_of at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), ': its last snapshot serves.') when 'LATE' then concat('No refresh since ', to_char(refreshed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), '.') when 'FRESH' then 'Read by the last refresh.' end as reason, as_of, rows
        from (
            select facts.*, case when as_of is null then 'NEVER_READ' when as_of < refresh_as_of then 'FAILED' when is_late then 'LATE' when true then 'FRESH' end as state
            from (
                select r.tenant_id, s.service, r.refreshed_at, r.as_of as refresh_as_of, p.as_of, p.rows,
                    r.refreshed_at < now() - interval '7200 seconds' as is_late
                from crm.tenant_refreshes r
                cross join (values ('SCL'), ('TEETIME'), ('MESSAGING'), ('CRM')) s (service)
                left join crm.publications p
                    on p.tenant_id = r.tenant_id and p.table_name = s.service || '.snapshot') facts) states;
comment on view crm.service_freshness is 'How old each service''s snapshot of each club is. As of the moment it is read.';
comment on column crm.service_freshness.tenant_id is 'The club.';
comment on column crm.service_freshness.service is 'The service.';
comment on column crm.service_freshness.state is 'FRESH: read by the club''s last refresh. LATE: no refresh for two hours. FAILED: the last refresh could not read it. NEVER_READ: none ever could.';
comment on column crm.service_freshness.reason is 'The state in words.';
comment on column crm.service_freshness.as_of is 'The hour its last snapshot speaks of; null before the first.';
comment on column crm.service_freshness.rows is 'Rows of the club in that snapshot; null before the first.';
