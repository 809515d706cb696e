-- What tells a former primary from the one of now.

-- Counted up by each promotion (deploy/mysql/promote), on the server that becomes the primary and before it may be
-- written to. A proxy writes to no server that knows of a lower term than another does.
CREATE TABLE primary_term (
    id   TINYINT NOT NULL,
    term BIGINT  NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB;
INSERT INTO primary_term (id, term) VALUES (1, 1);
