"""Attacks on whatever is registered, without a test written for it (`zkcore attack`).

    report = attack(subject, QUICK)          one system under one configuration
    report.failures                          what an author must look at; empty if nothing got through

subject     what is attacked: a system, a witness and the parts that prove it
log, trace  a proof as it is made or read: messages, challenges and checks in order, with lies at will
families    witness, messages, claims, statement, hiding: each yields outcomes
kit         runs the families, and says what they did not reach

A passed report is evidence against the families below, never a proof of soundness.
"""
