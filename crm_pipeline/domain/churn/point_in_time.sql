-- The golden record with the memberships as they stood at as_of(), from that of a later hour.
-- reads: current_golden_record, scl_payment (as it stood then)
-- creates: golden_record
-- The services keep no history of a status: SUSPENDED is unknown for the past, OVERDUE follows from fees
-- paid late, and the next renewal is taken to be the next anniversary.

with unpaid as (
    select distinct tenant_id, member_id from scl_payment
    where kind = 'PAYMENT' and status = 'PENDING' and due_at <= as_of()
),

ended as (
    select *, case when membership_status in ('LAPSED', 'RESIGNED')
        then coalesce(ended_at, first_ended_at) end as membership_ended_at
    from current_golden_record
)

select e.* exclude (membership_ended_at) replace (
        case
            when membership_status is null or membership_status = 'PENDING' or joined_at > as_of() then null
            when membership_ended_at <= as_of() then membership_status
            when unpaid.member_id is not null then 'OVERDUE'
            else 'ACTIVE'
        end as membership_status,
        membership_ended_at as ended_at, null::date as renews_on,
        case when notice_given_at <= as_of() then notice_given_at end as notice_given_at)
from ended e
left join unpaid on unpaid.tenant_id = e.tenant_id and unpaid.member_id = e.scl_member_id
