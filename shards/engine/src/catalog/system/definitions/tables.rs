//! The tables of `pg_catalog`, with PostgreSQL's oids.
//!
//! Source: PostgreSQL 15's `pg_attribute`. Types this server has not are shown as what they hold: pg_node_tree and aclitem
//! as text, xid as bigint.

use super::{Definition, none, table};
use crate::catalog::system::{depend, indexes, objects, procs, relations, server, triggers, types};

pub(super) const TABLES: &[Definition] = &[
    table(
        826,
        "pg_default_acl",
        none,
        "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl text[]",
    ),
    table(
        1213,
        "pg_tablespace",
        server::tablespaces,
        "oid oid, spcname name, spcowner oid, spcacl text[], spcoptions text[]",
    ),
    table(
        1214,
        "pg_shdepend",
        none,
        "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, deptype char",
    ),
    table(
        1247,
        "pg_type",
        types::types,
        "oid oid, typname name, typnamespace oid, typowner oid, typlen int2, typbyval bool, typtype char, \
         typcategory char, typispreferred bool, typisdefined bool, typdelim char, typrelid oid, typsubscript \
         regproc, typelem oid, typarray oid, typinput regproc, typoutput regproc, typreceive regproc, typsend \
         regproc, typmodin regproc, typmodout regproc, typanalyze regproc, typalign char, typstorage char, \
         typnotnull bool, typbasetype oid, typtypmod int4, typndims int4, typcollation oid, typdefaultbin \
         text, typdefault text, typacl text[]",
    ),
    table(
        1249,
        "pg_attribute",
        relations::attribute,
        "attrelid oid, attname name, atttypid oid, attstattarget int4, attlen int2, attnum int2, attndims \
         int4, attcacheoff int4, atttypmod int4, attbyval bool, attalign char, attstorage char, \
         attcompression char, attnotnull bool, atthasdef bool, atthasmissing bool, attidentity char, \
         attgenerated char, attisdropped bool, attislocal bool, attinhcount int4, attcollation oid, attacl \
         text[], attoptions text[], attfdwoptions text[], attmissingval text",
    ),
    table(
        1255,
        "pg_proc",
        procs::procs,
        "oid oid, proname name, pronamespace oid, proowner oid, prolang oid, procost float4, prorows float4, \
         provariadic oid, prosupport regproc, prokind char, prosecdef bool, proleakproof bool, proisstrict \
         bool, proretset bool, provolatile char, proparallel char, pronargs int2, pronargdefaults int2, \
         prorettype oid, proargtypes oidvector, proallargtypes oid[], proargmodes char[], proargnames text[], \
         proargdefaults text, protrftypes oid[], prosrc text, probin text, prosqlbody text, proconfig text[], \
         proacl text[]",
    ),
    table(
        1259,
        "pg_class",
        relations::class,
        "oid oid, relname name, relnamespace oid, reltype oid, reloftype oid, relowner oid, relam oid, \
         relfilenode oid, reltablespace oid, relpages int4, reltuples float4, relallvisible int4, \
         reltoastrelid oid, relhasindex bool, relisshared bool, relpersistence char, relkind char, relnatts \
         int2, relchecks int2, relhasrules bool, relhastriggers bool, relhassubclass bool, relrowsecurity \
         bool, relforcerowsecurity bool, relispopulated bool, relreplident char, relispartition bool, \
         relrewrite oid, relfrozenxid int8, relminmxid int8, relacl text[], reloptions text[], relpartbound \
         text",
    ),
    table(
        1260,
        "pg_authid",
        server::authids,
        "oid oid, rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, \
         rolcanlogin bool, rolreplication bool, rolbypassrls bool, rolconnlimit int4, rolpassword text, \
         rolvaliduntil timestamptz",
    ),
    table(
        1261,
        "pg_auth_members",
        none,
        "roleid oid, member oid, grantor oid, admin_option bool",
    ),
    table(
        1262,
        "pg_database",
        server::databases,
        "oid oid, datname name, datdba oid, encoding int4, datlocprovider char, datistemplate bool, \
         datallowconn bool, datconnlimit int4, datfrozenxid int8, datminmxid int8, dattablespace oid, \
         datcollate text, datctype text, daticulocale text, datcollversion text, datacl text[]",
    ),
    table(
        1417,
        "pg_foreign_server",
        none,
        "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text, srvversion text, srvacl text[], \
         srvoptions text[]",
    ),
    table(
        1418,
        "pg_user_mapping",
        none,
        "oid oid, umuser oid, umserver oid, umoptions text[]",
    ),
    table(
        2224,
        "pg_sequence",
        objects::sequence,
        "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, seqmin int8, seqcache \
         int8, seqcycle bool",
    ),
    table(
        2328,
        "pg_foreign_data_wrapper",
        none,
        "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl text[], fdwoptions \
         text[]",
    ),
    table(
        2396,
        "pg_shdescription",
        server::descriptions,
        "objoid oid, classoid oid, description text",
    ),
    table(
        2600,
        "pg_aggregate",
        procs::aggregates,
        "aggfnoid regproc, aggkind char, aggnumdirectargs int2, aggtransfn regproc, aggfinalfn regproc, \
         aggcombinefn regproc, aggserialfn regproc, aggdeserialfn regproc, aggmtransfn regproc, \
         aggminvtransfn regproc, aggmfinalfn regproc, aggfinalextra bool, aggmfinalextra bool, aggfinalmodify \
         char, aggmfinalmodify char, aggsortop oid, aggtranstype oid, aggtransspace int4, aggmtranstype oid, \
         aggmtransspace int4, agginitval text, aggminitval text",
    ),
    table(
        2601,
        "pg_am",
        server::access_methods,
        "oid oid, amname name, amhandler regproc, amtype char",
    ),
    table(
        2602,
        "pg_amop",
        none,
        "oid oid, amopfamily oid, amoplefttype oid, amoprighttype oid, amopstrategy int2, amoppurpose char, \
         amopopr oid, amopmethod oid, amopsortfamily oid",
    ),
    table(
        2603,
        "pg_amproc",
        none,
        "oid oid, amprocfamily oid, amproclefttype oid, amprocrighttype oid, amprocnum int2, amproc regproc",
    ),
    table(
        2604,
        "pg_attrdef",
        relations::attrdef,
        "oid oid, adrelid oid, adnum int2, adbin text",
    ),
    table(
        2605,
        "pg_cast",
        types::casts,
        "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, castmethod char",
    ),
    table(
        2606,
        "pg_constraint",
        relations::constraint,
        "oid oid, conname name, connamespace oid, contype char, condeferrable bool, condeferred bool, \
         convalidated bool, conrelid oid, contypid oid, conindid oid, conparentid oid, confrelid oid, \
         confupdtype char, confdeltype char, confmatchtype char, conislocal bool, coninhcount int4, \
         connoinherit bool, conkey int2[], confkey int2[], conpfeqop oid[], conppeqop oid[], conffeqop oid[], \
         confdelsetcols int2[], conexclop oid[], conbin text",
    ),
    table(
        2607,
        "pg_conversion",
        none,
        "oid oid, conname name, connamespace oid, conowner oid, conforencoding int4, contoencoding int4, \
         conproc regproc, condefault bool",
    ),
    table(
        2608,
        "pg_depend",
        depend::depend,
        "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid int4, deptype char",
    ),
    table(
        2609,
        "pg_description",
        objects::descriptions,
        "objoid oid, classoid oid, objsubid int4, description text",
    ),
    table(
        2610,
        "pg_index",
        indexes::index,
        "indexrelid oid, indrelid oid, indnatts int2, indnkeyatts int2, indisunique bool, indnullsnotdistinct \
         bool, indisprimary bool, indisexclusion bool, indimmediate bool, indisclustered bool, indisvalid \
         bool, indcheckxmin bool, indisready bool, indislive bool, indisreplident bool, indkey int2vector, \
         indcollation oidvector, indclass oidvector, indoption int2vector, indexprs text, indpred text",
    ),
    table(
        2611,
        "pg_inherits",
        none,
        "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool",
    ),
    table(
        2612,
        "pg_language",
        procs::languages,
        "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, lanplcallfoid oid, laninline \
         oid, lanvalidator oid, lanacl text[]",
    ),
    table(
        2613,
        "pg_largeobject",
        none,
        "loid oid, pageno int4, data bytea",
    ),
    table(
        2615,
        "pg_namespace",
        objects::namespaces,
        "oid oid, nspname name, nspowner oid, nspacl text[]",
    ),
    table(
        2616,
        "pg_opclass",
        types::opclasses,
        "oid oid, opcmethod oid, opcname name, opcnamespace oid, opcowner oid, opcfamily oid, opcintype oid, \
         opcdefault bool, opckeytype oid",
    ),
    table(
        2617,
        "pg_operator",
        procs::operators,
        "oid oid, oprname name, oprnamespace oid, oprowner oid, oprkind char, oprcanmerge bool, oprcanhash \
         bool, oprleft oid, oprright oid, oprresult oid, oprcom oid, oprnegate oid, oprcode regproc, oprrest \
         regproc, oprjoin regproc",
    ),
    table(
        2618,
        "pg_rewrite",
        depend::rules,
        "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, is_instead bool, ev_qual text, \
         ev_action text",
    ),
    table(
        2619,
        "pg_statistic",
        none,
        "starelid oid, staattnum int2, stainherit bool, stanullfrac float4, stawidth int4, stadistinct \
         float4, stakind1 int2, stakind2 int2, stakind3 int2, stakind4 int2, stakind5 int2, staop1 oid, \
         staop2 oid, staop3 oid, staop4 oid, staop5 oid, stacoll1 oid, stacoll2 oid, stacoll3 oid, stacoll4 \
         oid, stacoll5 oid, stanumbers1 float4[], stanumbers2 float4[], stanumbers3 float4[], stanumbers4 \
         float4[], stanumbers5 float4[], stavalues1 text, stavalues2 text, stavalues3 text, stavalues4 text, \
         stavalues5 text",
    ),
    table(
        2620,
        "pg_trigger",
        triggers::triggers,
        "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, tgenabled char, \
         tgisinternal bool, tgconstrrelid oid, tgconstrindid oid, tgconstraint oid, tgdeferrable bool, \
         tginitdeferred bool, tgnargs int2, tgattr int2vector, tgargs bytea, tgqual text, tgoldtable name, \
         tgnewtable name",
    ),
    table(
        2753,
        "pg_opfamily",
        types::opfamilies,
        "oid oid, opfmethod oid, opfname name, opfnamespace oid, opfowner oid",
    ),
    table(
        2964,
        "pg_db_role_setting",
        server::database_settings,
        "setdatabase oid, setrole oid, setconfig text[]",
    ),
    table(
        2995,
        "pg_largeobject_metadata",
        none,
        "oid oid, lomowner oid, lomacl text[]",
    ),
    table(
        3079,
        "pg_extension",
        server::extensions,
        "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, extversion text, \
         extconfig oid[], extcondition text[]",
    ),
    table(
        3118,
        "pg_foreign_table",
        none,
        "ftrelid oid, ftserver oid, ftoptions text[]",
    ),
    table(
        3256,
        "pg_policy",
        none,
        "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles oid[], polqual text, \
         polwithcheck text",
    ),
    table(
        3350,
        "pg_partitioned_table",
        none,
        "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2vector, partclass oidvector, \
         partcollation oidvector, partexprs text",
    ),
    table(
        3381,
        "pg_statistic_ext",
        none,
        "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget int4, stxkeys \
         int2[], stxkind char[], stxexprs text",
    ),
    table(
        3394,
        "pg_init_privs",
        none,
        "objoid oid, classoid oid, objsubid int4, privtype char, initprivs text[]",
    ),
    table(
        3429,
        "pg_statistic_ext_data",
        none,
        "stxoid oid, stxdinherit bool, stxdndistinct bytea, stxddependencies bytea, stxdmcv bytea, stxdexpr \
         text",
    ),
    table(
        3456,
        "pg_collation",
        types::collations,
        "oid oid, collname name, collnamespace oid, collowner oid, collprovider char, collisdeterministic \
         bool, collencoding int4, collcollate text, collctype text, colliculocale text, collversion text",
    ),
    table(
        3466,
        "pg_event_trigger",
        none,
        "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, evttags text[]",
    ),
    table(
        3501,
        "pg_enum",
        types::enums,
        "oid oid, enumtypid oid, enumsortorder float4, enumlabel name",
    ),
    table(
        3541,
        "pg_range",
        none,
        "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, rngcanonical \
         regproc, rngsubdiff regproc",
    ),
    table(
        3576,
        "pg_transform",
        none,
        "oid oid, trftype oid, trflang oid, trffromsql regproc, trftosql regproc",
    ),
    table(
        3592,
        "pg_shseclabel",
        none,
        "objoid oid, classoid oid, provider text, label text",
    ),
    table(
        3596,
        "pg_seclabel",
        none,
        "objoid oid, classoid oid, objsubid int4, provider text, label text",
    ),
    table(
        3600,
        "pg_ts_dict",
        none,
        "oid oid, dictname name, dictnamespace oid, dictowner oid, dicttemplate oid, dictinitoption text",
    ),
    table(
        3601,
        "pg_ts_parser",
        none,
        "oid oid, prsname name, prsnamespace oid, prsstart regproc, prstoken regproc, prsend regproc, \
         prsheadline regproc, prslextype regproc",
    ),
    table(
        3602,
        "pg_ts_config",
        none,
        "oid oid, cfgname name, cfgnamespace oid, cfgowner oid, cfgparser oid",
    ),
    table(
        3603,
        "pg_ts_config_map",
        none,
        "mapcfg oid, maptokentype int4, mapseqno int4, mapdict oid",
    ),
    table(
        3764,
        "pg_ts_template",
        none,
        "oid oid, tmplname name, tmplnamespace oid, tmplinit regproc, tmpllexize regproc",
    ),
    table(
        6000,
        "pg_replication_origin",
        none,
        "roident oid, roname text",
    ),
    table(
        6100,
        "pg_subscription",
        none,
        "oid oid, subdbid oid, subskiplsn text, subname name, subowner oid, subenabled bool, subbinary bool, \
         substream bool, subtwophasestate char, subdisableonerr bool, subconninfo text, subslotname name, \
         subsynccommit text, subpublications text[]",
    ),
    table(
        6102,
        "pg_subscription_rel",
        none,
        "srsubid oid, srrelid oid, srsubstate char, srsublsn text",
    ),
    table(
        6104,
        "pg_publication",
        none,
        "oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, pubupdate bool, pubdelete \
         bool, pubtruncate bool, pubviaroot bool",
    ),
    table(
        6106,
        "pg_publication_rel",
        none,
        "oid oid, prpubid oid, prrelid oid, prqual text, prattrs int2[]",
    ),
    table(
        6237,
        "pg_publication_namespace",
        none,
        "oid oid, pnpubid oid, pnnspid oid",
    ),
    table(
        6243,
        "pg_parameter_acl",
        none,
        "oid oid, parname text, paracl text[]",
    ),
];
