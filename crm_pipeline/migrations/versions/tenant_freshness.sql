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
