package expr
func (p or) appendBinary(d []byte) []byte {return d}
func (p and) appendBinary(d []byte) []byte {return d}
func (p not) appendBinary(d []byte) []byte {return d}
func (p *comparison) appendBinary(d []byte) []byte {return d}
func (p *between) appendBinary(d []byte) []byte {return d}
func (p *in) appendBinary(d []byte) []byte {return d}
func (p *exists) appendBinary(d []byte) []byte {return d}
func (p *hasType) appendBinary(d []byte) []byte {return d}
func (p *beginsWith) appendBinary(d []byte) []byte {return d}
func (p *contains) appendBinary(d []byte) []byte {return d}
